import { useLayoutEffect, useRef } from "preact/hooks";
import type { Desk } from "../desk";
import type { Conversation } from "../wire";

/** Asks before what cannot be undone; the harmless answer has the focus. */
export function ConfirmDelete({ desk, conversation, close }: { desk: Desk; conversation: Conversation; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const confirm = (): void => {
    close();
    void desk.delete(conversation.id);
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="delete-title" aria-describedby="delete-text" onClose={close}>
      <h2 id="delete-title">Delete this conversation?</h2>
      <p id="delete-text">
        “{conversation.title || "New conversation"}” and all its messages will be gone. This cannot be undone.
      </p>
      <div class="dialog-actions">
        <button type="button" class="button" autofocus data-testid="cancel-delete" onClick={close}>
          Keep it
        </button>
        <button type="button" class="button danger" data-testid="confirm-delete" onClick={confirm}>
          Delete
        </button>
      </div>
    </dialog>
  );
}
