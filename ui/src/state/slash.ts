/** What can be completed while a message begins with `/`. */

import type { ModelInfo } from "../wire";

export interface Completion {
  /** What the message becomes. */
  text: string;
  label: string;
  hint: string;
  /** Whether more is to be typed after it. */
  open: boolean;
}

const COMMANDS: { name: string; hint: string; takesModel?: true }[] = [
  { name: "help", hint: "What can be typed here" },
  { name: "model", hint: "Show or change the model that answers", takesModel: true },
  { name: "reset", hint: "Start afresh: earlier messages no longer count" },
  { name: "status", hint: "How this house is doing" },
  { name: "why", hint: "Why this model answered" },
];

const SHOWN = 8;

export function completions(text: string, models: readonly ModelInfo[]): Completion[] {
  const command = /^\/(\w*)$/.exec(text);
  if (command) {
    const typed = (command[1] ?? "").toLowerCase();
    return COMMANDS.filter(({ name }) => name.startsWith(typed)).map(({ name, hint, takesModel }) => ({
      text: takesModel ? `/${name} ` : `/${name}`,
      label: `/${name}`,
      hint,
      open: takesModel ?? false,
    }));
  }
  const model = /^\/model\s+(\S*)$/i.exec(text);
  if (!model) return [];
  const typed = (model[1] ?? "").toLowerCase();
  return models
    .filter(({ id }) => id.toLowerCase().includes(typed) && id.toLowerCase() !== typed)
    .slice(0, SHOWN)
    .map(({ id, provider }) => ({ text: `/model ${id}`, label: id, hint: provider, open: false }));
}
