import { useComputed, useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";
import { day } from "../format";
import type { Session } from "../session";
import { rowsOf } from "../state/rows";
import type { Row } from "../state/rows";
import { toast } from "../state/toasts";
import { Answer } from "./answer";
import { HouseMessage } from "./house-message";
import { Down } from "./icons";
import { PendingQuestion, Question } from "./question";
import "../styles/messages.css";
import "../styles/markdown.css";

/** Pixels from an edge that still count as being there. */
const NEAR = 48;
const NEAR_TOP = 400;
/** What a person scrolls with. */
const MOVES = ["keydown", "pointerdown", "touchmove", "wheel"];
/** Longer than browsers take for a smooth scroll. */
const SMOOTH_MS = 800;

function RowView({ row, session, assistant }: { row: Row; session: Session; assistant: string }) {
  switch (row.kind) {
    case "question":
      return <Question row={row} />;
    case "house":
      return <HouseMessage row={row} />;
    case "answer":
      return <Answer row={row} session={session} assistant={assistant} />;
    case "pending":
      return <PendingQuestion row={row} session={session} />;
    case "day":
      return <p class="day">{day(row.at)}</p>;
  }
}

async function copyCode(event: MouseEvent): Promise<void> {
  const button = (event.target as Element).closest<HTMLButtonElement>(".code-copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.closest(".code")?.querySelector("code")?.textContent ?? "");
  } catch {
    toast("The browser did not allow copying.");
    return;
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

/** Follows the end as long as the person is there; never pulls back somebody who reads further up. Returns the way to the end. */
function useFollowing(scroller: RefObject<HTMLDivElement | null>, content: RefObject<HTMLDivElement | null>, following: Signal<boolean>): () => void {
  const settled = useRef(0);
  useEffect(() => {
    const box = scroller.current;
    if (!box || !content.current) return;
    let last = box.scrollTop;
    const onScroll = (): void => {
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
      if (performance.now() < settled.current) box.scrollTop = box.scrollHeight;
      else if (atEnd) following.value = true;
      else if (box.scrollTop < last) following.value = false;
      last = box.scrollTop;
    };
    const observer = new ResizeObserver(() => {
      if (following.value) box.scrollTop = box.scrollHeight;
    });
    observer.observe(content.current);
    observer.observe(box);
    const listening = new AbortController();
    const options = { passive: true, signal: listening.signal };
    box.addEventListener("scroll", onScroll, options);
    // Whoever moves after the jump means it.
    for (const input of MOVES) box.addEventListener(input, () => (settled.current = 0), options);
    return () => {
      observer.disconnect();
      listening.abort();
    };
  }, [scroller, content, following]);
  return () => {
    // A smooth scroll that is under way (Home) goes on after the jump: each of its steps leads to the end then.
    if (!following.value) settled.current = performance.now() + SMOOTH_MS;
    following.value = true;
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  };
}

/** Loads older messages near the top and keeps what is being read where it is. */
function useHistory(scroller: RefObject<HTMLDivElement | null>, session: Session, first: string | undefined): () => void {
  const before = useRef<{ height: number; top: number } | null>(null);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box || !before.current) return;
    box.scrollTop = before.current.top + (box.scrollHeight - before.current.height);
    before.current = null;
  }, [scroller, first]);
  return () => {
    const box = scroller.current;
    if (!box || box.scrollTop > NEAR_TOP || !session.thread.value.more) return;
    void session.loadOlder((apply) => {
      before.current = { height: box.scrollHeight, top: box.scrollTop };
      apply();
    });
  };
}

export function MessageList({ session, assistant }: { session: Session; assistant: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const following = useSignal(true);
  const rows = useComputed(() => rowsOf(session.thread.value));
  const thread = session.thread.value;
  const toEnd = useFollowing(scroller, content, following);
  const loadOlder = useHistory(scroller, session, thread.messages[0]?.id);
  // Whoever sends something wants to see it.
  useLayoutEffect(toEnd, [thread.pending.at(-1)?.clientId]);
  return (
    <div class="log-frame">
      <div ref={scroller} class="log" role="log" aria-live="off" aria-label="Messages" tabIndex={0} data-testid="log" onScroll={loadOlder} onClick={(event) => void copyCode(event)}>
        <div ref={content} class="log-content">
          {thread.more && (
            <button type="button" class="link-button load-older" data-testid="load-older" onClick={loadOlder}>
              Earlier messages
            </button>
          )}
          {rows.value.map((row) => (
            <RowView key={row.key} row={row} session={session} assistant={assistant} />
          ))}
        </div>
      </div>
      {!following.value && (
        <button type="button" class="jump" aria-label="Jump to the latest message" data-testid="jump-latest" onClick={toEnd}>
          <Down />
        </button>
      )}
    </div>
  );
}
