/** What the browser remembers. A browser that refuses storage only forgets: nothing else breaks. */

function quietly<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}

function write(storage: () => Storage, key: string, value: string | null): void {
  quietly(() => {
    if (value) storage().setItem(key, value);
    else storage().removeItem(key);
  }, undefined);
}

export function remembered(key: string): string | null {
  return quietly(() => localStorage.getItem(key), null);
}

export function remember(key: string, value: string | null): void {
  write(() => localStorage, key, value);
}

/** The text this tab had typed in a conversation (`null`: the one that does not exist yet). */
export function draftOf(conversationId: string | null): string {
  return quietly(() => sessionStorage.getItem(`antiphon.draft.${conversationId ?? "new"}`), null) ?? "";
}

export function keepDraft(conversationId: string | null, text: string): void {
  write(() => sessionStorage, `antiphon.draft.${conversationId ?? "new"}`, text);
}

export function outboxOf(conversationId: string): string | null {
  return quietly(() => sessionStorage.getItem(`antiphon.outbox.${conversationId}`), null);
}

export function keepOutbox(conversationId: string, entries: string | null): void {
  write(() => sessionStorage, `antiphon.outbox.${conversationId}`, entries);
}
