import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Desk } from "../desk";
import { closeDrawer, focusComposer } from "../shortcuts";
import type { Conversation } from "../wire";
import { Pencil, Trash } from "./icons";

interface Props {
  desk: Desk;
  conversation: Conversation;
  onDelete: (conversation: Conversation) => void;
}

function RenameField({ title, done }: { title: string; done: (title: string | null) => void }) {
  const field = useRef<HTMLInputElement>(null);
  const settled = useRef(false);
  useLayoutEffect(() => field.current?.select(), []);
  const finish = (next: string | null): void => {
    // Enter and Escape remove the field, which blurs it once more.
    if (settled.current) return;
    settled.current = true;
    const trimmed = next?.trim() ?? "";
    done(trimmed && trimmed !== title ? trimmed : null);
  };
  const onKey = (event: KeyboardEvent & { currentTarget: HTMLInputElement }): void => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    finish(event.key === "Enter" ? event.currentTarget.value : null);
  };
  return (
    <input ref={field} class="rename" aria-label="Title" defaultValue={title} maxLength={200} data-testid="rename-input" onKeyDown={onKey} onBlur={(event) => finish(event.currentTarget.value)} />
  );
}

export function ConversationItem({ desk, conversation, onDelete }: Props) {
  const renaming = useSignal(false);
  const { id } = conversation;
  const title = conversation.title || "New conversation";
  const open = (event: MouseEvent): void => {
    // The usual ways to ask for a new tab stay the browser's.
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    desk.open(id);
    closeDrawer();
    focusComposer();
  };
  const renamed = (next: string | null): void => {
    renaming.value = false;
    if (next !== null) void desk.rename(id, next);
  };
  const current = desk.openId.value === id;
  return (
    <li class="item" data-current={current}>
      {renaming.value ? (
        <RenameField title={title} done={renamed} />
      ) : (
        <>
          <a class="item-link" href={`/c/${encodeURIComponent(id)}`} aria-current={current ? "page" : undefined} data-testid="conversation-item" data-id={id} title={title} onClick={open}>
            {title}
          </a>
          <span class="item-actions">
            <button type="button" class="icon-button small" aria-label={`Rename “${title}”`} data-testid="rename" onClick={() => (renaming.value = true)}>
              <Pencil />
            </button>
            <button type="button" class="icon-button small" aria-label={`Delete “${title}”`} data-testid="delete" onClick={() => onDelete(conversation)}>
              <Trash />
            </button>
          </span>
        </>
      )}
    </li>
  );
}
