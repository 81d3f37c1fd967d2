import { clock } from "../format";
import type { Session } from "../session";
import type { Pending } from "../state/thread";
import { Attachments } from "./attachments";
import type { PendingRow, QuestionRow } from "../state/rows";

export function Question({ row }: { row: QuestionRow }) {
  const { message, queued, note } = row;
  return (
    <article class="question" aria-label="You said" data-testid="message-user" data-state={queued ? "queued" : "stored"} data-id={message.id}>
      <Attachments files={message.attachments} />
      {message.text && (
        <div class="bubble" dir="auto" title={clock(message.created_at)}>
          {message.text}
        </div>
      )}
      {message.parts.map((part) => part.type === "notice" && (
        <p class="question-note" data-testid="question-notice" data-code={part.code} key={part.code + part.text} dir="auto">
          {part.text}
        </p>
      ))}
      {queued && <p class="question-note">Queued: answered after the current one</p>}
      {note && <p class="question-note">{note}</p>}
    </article>
  );
}

function Failed({ entry, session }: { entry: Pending; session: Session }) {
  return (
    <p class="question-note failed" role="alert">
      Not sent. {entry.reason}{" "}
      <button type="button" class="link-button" data-testid="retry" onClick={() => session.retry(entry)}>
        Try again
      </button>{" "}
      <button type="button" class="link-button" data-testid="discard" onClick={() => session.discard(entry.clientId)}>
        Discard
      </button>
    </p>
  );
}

export function PendingQuestion({ row, session }: { row: PendingRow; session: Session }) {
  const { entry } = row;
  return (
    <article class="question pending" aria-label="You said" data-testid="message-user" data-state={entry.state}>
      <Attachments files={entry.attachments} />
      {entry.text && <div class="bubble" dir="auto">{entry.text}</div>}
      {entry.state === "failed" && <Failed entry={entry} session={session} />}
    </article>
  );
}
