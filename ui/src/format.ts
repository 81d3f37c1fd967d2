/** Numbers and times as people read them. */

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(1, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function byteSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function clock(at: string): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

export function day(at: string): string {
  return new Date(at).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });
}

/** The name of a model without its provider; what has no provider is its own name. */
export function modelName(id: string): string {
  return id.slice(id.indexOf(":") + 1) || id;
}

/** JSON text, indented; anything else as it is. */
export function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

/** The arguments of a call on one line: values alone where there is one, names with them where there are more. */
export function briefly(json: string): string {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return json;
  }
  if (typeof value !== "object" || value === null) return json;
  const entries = Object.entries(value).map(([name, item]): [string, string] => [
    name,
    typeof item === "string" ? item : JSON.stringify(item),
  ]);
  return entries.length === 1 ? (entries[0]?.[1] ?? "") : entries.map(([name, item]) => `${name}: ${item}`).join(" · ");
}
