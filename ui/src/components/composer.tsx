import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Desk } from "../desk";
import type { Session } from "../session";
import { completions } from "../state/slash";
import type { Completion } from "../state/slash";
import { draftOf, keepDraft } from "../state/storage";
import { Uploads } from "../state/uploads";
import { AttachButton, useDropped } from "./attach";
import { UploadList } from "./attachments";
import { Send, Stop } from "./icons";
import { SlashMenu } from "./slash-menu";

const MAX_HEIGHT = 240;

function useGrowing(text: string) {
  const field = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    if (!field.current) return;
    field.current.style.height = "auto";
    field.current.style.height = `${Math.min(field.current.scrollHeight, MAX_HEIGHT)}px`;
  }, [text]);
  return field;
}

/** The commands that fit what is typed, and the keys that choose among them. */
function useSlash(text: string, desk: Desk, accept: (item: Completion) => void) {
  const chosen = useSignal(0);
  const dismissed = useSignal<string | null>(null);
  const items = dismissed.value === text ? [] : completions(text, desk.models.value.items);
  const at = Math.min(chosen.value, Math.max(0, items.length - 1));
  const onKey = (event: KeyboardEvent): boolean => {
    const item = items[at];
    if (!item) return false;
    if (event.key === "ArrowDown") chosen.value = (at + 1) % items.length;
    else if (event.key === "ArrowUp") chosen.value = (at + items.length - 1) % items.length;
    else if (event.key === "Escape") dismissed.value = text;
    else if (event.key === "Tab" && !event.shiftKey) accept(item);
    // A command typed in full is sent, not completed.
    else if (event.key === "Enter" && !event.shiftKey && item.text.trim() !== text.trim()) accept(item);
    else return false;
    event.preventDefault();
    return true;
  };
  return { items, at, onKey, choose: (index: number) => (chosen.value = index) };
}

export function Composer({ desk, session }: { desk: Desk; session: Session }) {
  const text = useSignal(draftOf(session.id.peek()));
  const field = useGrowing(text.value);
  const turn = session.stoppable.value;
  const change = (next: string): void => {
    text.value = next;
    keepDraft(session.id.peek(), next);
  };
  const slash = useSlash(text.value, desk, (item) => change(item.text));
  const uploads = useMemo(() => new Uploads(), []);
  const dropped = useDropped(uploads);
  const something = text.value.trim() !== "" || uploads.items.value.length > 0;
  const focus = (): void => field.current?.focus();
  const send = (): void => {
    if (!something || !uploads.ready) return;
    const message = text.value.trim();
    change("");
    session.send(message, uploads.take());
    focus();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.isComposing || slash.onKey(event)) return;
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    send();
  };
  const onInput = (event: InputEvent & { currentTarget: HTMLTextAreaElement }): void => {
    slash.choose(0);
    change(event.currentTarget.value);
  };
  const menuOpen = slash.items.length > 0;
  return (
    <form class="composer" onSubmit={(event) => (event.preventDefault(), send())}>
      {menuOpen && <SlashMenu items={slash.items} chosen={slash.at} onPoint={slash.choose} onAccept={(item) => change(item.text)} />}
      <UploadList uploads={uploads} onRemoved={focus} />
      <div class={dropped.over ? "composer-box dropping" : "composer-box"}>
        <AttachButton uploads={uploads} onChosen={focus} />
        <textarea
          ref={field}
          id="composer"
          rows={1}
          dir="auto"
          aria-label="Message"
          aria-autocomplete="list"
          aria-controls={menuOpen ? "slash-menu" : undefined}
          aria-activedescendant={menuOpen ? `slash-${slash.at}` : undefined}
          placeholder="Write a message"
          enterkeyhint="send"
          value={text.value}
          data-testid="composer"
          onInput={onInput}
          onKeyDown={onKey}
          onPaste={dropped.onPaste}
        />
        {turn && (
          <button type="button" class="round-button stop" aria-label="Stop the answer" title="Stop (Esc)" data-testid="stop" onClick={() => session.cancel(turn.turn_id)}>
            <Stop />
          </button>
        )}
        {(!turn || something) && (
          <button type="submit" class="round-button" aria-label="Send" disabled={!something || !uploads.ready} data-testid="send">
            <Send />
          </button>
        )}
      </div>
      <p class="composer-hint">
        <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> starts a line, <kbd>/</kbd> lists commands
      </p>
    </form>
  );
}
