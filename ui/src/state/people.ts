/** Who else has the conversation open. */

/** What a connection shows of its person; a program may show something else there. */
interface Meta {
  name?: unknown;
  online_at?: unknown;
}

export interface PresentPerson {
  id: string;
  name: string;
}

/** The person of a key of the presence, by the newest of their connections; null where that is no person. */
export function personOf(id: string, { metas }: { metas: Meta[] }): PresentPerson | null {
  const newest = metas.filter((meta) => typeof meta.online_at === "string").sort(byTime).at(-1);
  const name = typeof newest?.name === "string" ? newest.name.trim() : "";
  return name ? { id, name } : null;
}

/** Everybody but `me`, in an order that does not change while somebody is here. */
export function others(people: readonly (PresentPerson | null)[], me: string): PresentPerson[] {
  return people.filter((person): person is PresentPerson => person !== null && person.id !== me).sort(byName);
}

/** Names in a row, at most `most` of them. */
export function inWords(names: readonly string[], most = 2): string {
  const shown = names.length > most + 1 ? [...names.slice(0, most), `${names.length - most} more`] : names;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/** The first letter of a name, as people see letters. */
export function initial(name: string): string {
  return (Array.from(name)[0] ?? "").toUpperCase();
}

function byTime(a: Meta, b: Meta): number {
  return String(a.online_at) < String(b.online_at) ? -1 : 1;
}

function byName(a: PresentPerson, b: PresentPerson): number {
  return a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1);
}
