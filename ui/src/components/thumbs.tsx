import { useSignal } from "@preact/signals";
import type { Session } from "../session";
import type { Message, Verdict } from "../wire";
import { ThumbDown, ThumbUp } from "./icons";

/** As the server takes it. */
const COMMENT_LIMIT = 2000;

/** What this person thinks of an answer. A second press takes it back; a thumb down may be explained. */
export function Thumbs({ message, session }: { message: Message; session: Session }) {
  const explaining = useSignal(false);
  const chosen = message.feedback?.verdict ?? null;
  const press = (verdict: Verdict): void => {
    const next = chosen === verdict ? null : verdict;
    explaining.value = next === "down";
    void session.judge(message.id, next);
  };
  const explain = (event: SubmitEvent): void => {
    event.preventDefault();
    const comment = new FormData(event.currentTarget as HTMLFormElement).get("comment") as string;
    explaining.value = false;
    if (comment.trim()) void session.judge(message.id, "down", comment);
  };
  return (
    <span class="thumbs" role="group" aria-label="What do you think of this answer?">
      <button type="button" class="icon-button small" aria-label="Good answer" aria-pressed={chosen === "up"} data-testid="thumb-up" onClick={() => press("up")}>
        <ThumbUp />
      </button>
      <button
        type="button"
        class="icon-button small"
        aria-label="Bad answer"
        aria-pressed={chosen === "down"}
        title={message.feedback?.comment ?? undefined}
        data-testid="thumb-down"
        onClick={() => press("down")}
      >
        <ThumbDown />
      </button>
      {explaining.value && chosen === "down" && (
        <form onSubmit={explain}>
          <input name="comment" maxLength={COMMENT_LIMIT} aria-label="What was wrong?" placeholder="What was wrong?" autoComplete="off" data-testid="thumb-why" />
        </form>
      )}
    </span>
  );
}
