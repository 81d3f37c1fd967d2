import { useSignal } from "@preact/signals";
import { duration, modelName } from "../format";
import type { Session } from "../session";
import type { AnswerRow } from "../state/rows";
import { toast } from "../state/toasts";
import type { Message, Part, Usage } from "../wire";
import { ApprovalCard } from "./approval-card";
import { Check, Copy, Mark } from "./icons";
import { Markdown } from "./markdown";
import { Thought } from "./thought";
import { Thumbs } from "./thumbs";
import { ToolCard } from "./tool-card";

function partsOf(message: Message): readonly Part[] {
  return message.parts.length > 0 || !message.text ? message.parts : [{ type: "text", text: message.text }];
}

const STOPPED_BY_PERSON = "cancelled";

function PartView({ part, active }: { part: Part; active: boolean }) {
  switch (part.type) {
    case "text":
      return (
        <div data-testid="answer-text">
          <Markdown text={part.text} />
        </div>
      );
    case "reasoning":
      return <Thought text={part.text} active={active} />;
    case "tool":
      return <ToolCard part={part} />;
    case "notice":
      // Who stops an answer needs no box to say so: the footer signs it as stopped.
      if (part.code === STOPPED_BY_PERSON) return null;
      return (
        <div class="notice" data-testid="notice" data-code={part.code}>
          <Markdown text={part.text} />
        </div>
      );
  }
}

function tokens(usage: Usage | null): string | null {
  if (!usage || usage.output_tokens === 0) return null;
  const count = usage.output_tokens.toLocaleString();
  return `${usage.estimated ? "about " : ""}${count} ${usage.output_tokens === 1 ? "token" : "tokens"}`;
}

/** A person stops an answer; whatever else cuts it short interrupts it. */
function cut(message: Message): string | null {
  if (message.status !== "interrupted") return null;
  return message.parts.some((part) => part.type === "notice" && part.code === STOPPED_BY_PERSON) ? "stopped" : "interrupted";
}

function CopyAnswer({ text }: { text: string }) {
  const copied = useSignal(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      toast("The browser did not allow copying.");
      return;
    }
    copied.value = true;
    setTimeout(() => (copied.value = false), 1500);
  };
  return (
    <button type="button" class="icon-button small" aria-label={copied.value ? "Copied" : "Copy answer"} data-testid="copy-answer" onClick={() => void copy()}>
      {copied.value ? <Check /> : <Copy />}
    </button>
  );
}

function Footer({ row, message, session }: { row: AnswerRow; message: Message; session: Session }) {
  const { ending, voice } = row;
  const model = voice?.model ?? message.model;
  const elapsed = ending?.elapsedMs ?? message.elapsed_ms;
  const facts = [
    model ? modelName(model) : null,
    tokens(ending?.usage ?? message.usage),
    elapsed != null ? duration(elapsed) : null,
    cut(message),
  ].filter(Boolean);
  return (
    <footer class="answer-footer" data-testid="answer-footer" data-model={model ?? undefined}>
      {message.text && <CopyAnswer text={message.text} />}
      <Thumbs message={message} session={session} />
      <span>{facts.join(" · ")}</span>
    </footer>
  );
}

/** An answer, while it is written and afterwards: the same element, so that nothing jumps when it is finished. */
export function Answer({ row, session, assistant }: { row: AnswerRow; session: Session; assistant: string }) {
  const { message } = row;
  const parts = message ? partsOf(message) : session.answer(row.turnId).value.parts;
  const live = message === null;
  const approvals = live ? session.thread.value.approvals.filter((open) => open.turn_id === row.turnId) : [];
  const writing = live && approvals.length === 0;
  const state = live ? (writing ? "streaming" : "waiting") : (row.ending?.status ?? message.status);
  return (
    <article class="answer" aria-label={`${row.voice?.assistant ?? assistant} said`} aria-busy={writing} data-testid="message-assistant" data-state={state} data-turn={row.turnId}>
      <div class="answer-name" aria-hidden="true">
        <Mark /> {row.voice?.assistant ?? assistant}
      </div>
      {parts.map((part, index) => (
        <PartView key={index} part={part} active={writing && index === parts.length - 1} />
      ))}
      {approvals.map((approval) => (
        <ApprovalCard key={approval.id} approval={approval} session={session} />
      ))}
      {writing && parts.length === 0 && (
        <p class="waiting">
          <span class="visually-hidden">Writing…</span>
          <i />
          <i />
          <i />
        </p>
      )}
      {message && <Footer row={row} message={message} session={session} />}
    </article>
  );
}
