/** Light, dark, or whatever the system says. */

import { signal } from "@preact/signals";
import { remember, remembered } from "./storage";

export type Theme = "system" | "light" | "dark";

const KEY = "antiphon.theme";

export const theme = signal<Theme>("system");

function apply(choice: Theme): void {
  theme.value = choice;
  if (choice === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = choice;
}

export function restoreTheme(): void {
  const choice = remembered(KEY);
  apply(choice === "light" || choice === "dark" ? choice : "system");
}

export function chooseTheme(choice: Theme): void {
  apply(choice);
  remember(KEY, choice === "system" ? null : choice);
}
