/** Keys that work everywhere on the page, and the drawer that holds the list on a narrow screen. */

import { signal } from "@preact/signals";
import type { Desk } from "./desk";

export const drawerOpen = signal(false);

const narrow = matchMedia("(max-width: 820px)");
export const isNarrow = signal(narrow.matches);
narrow.addEventListener("change", (event) => (isNarrow.value = event.matches));

export function closeDrawer(): void {
  drawerOpen.value = false;
}

/** A screen keyboard that jumps up unasked is in the way. */
export function focusComposer(): void {
  if (matchMedia("(pointer: fine)").matches) document.getElementById("composer")?.focus();
}

function focusFilter(): void {
  drawerOpen.value = true;
  // The drawer takes no focus until it is on screen.
  requestAnimationFrame(() => document.getElementById("filter")?.focus());
}

function onEscape(desk: Desk): void {
  if (isNarrow.value && drawerOpen.value) return closeDrawer();
  const session = desk.session.value;
  const turn = session.stoppable.value;
  if (turn) session.cancel(turn.turn_id);
}

/** Returns what stops listening. A component that handled a key first has prevented its default. */
export function listenForShortcuts(desk: Desk): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing) return;
    const command = event.ctrlKey || event.metaKey;
    if (command && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      focusFilter();
    } else if (command && event.shiftKey && event.key.toLowerCase() === "o") {
      event.preventDefault();
      desk.openNew();
      focusComposer();
    } else if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
      onEscape(desk);
    }
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}
