import { useEffect } from "preact/hooks";
import type { Desk } from "../desk";
import type { Session } from "../session";
import { later } from "../later";
import { focusComposer } from "../shortcuts";
import { Composer } from "./composer";
import { EmptyState } from "./empty-state";

const messageList = later(async () => (await import("./message-list")).MessageList);

function Missing({ desk }: { desk: Desk }) {
  return (
    <div class="empty" data-testid="missing">
      <h2>This conversation is not here</h2>
      <p class="empty-note">It was deleted, or it belongs to somebody else.</p>
      <button type="button" class="button" onClick={() => desk.openNew()}>
        Start a new one
      </button>
    </div>
  );
}

export function Conversation({ desk, session }: { desk: Desk; session: Session }) {
  useEffect(focusComposer, [session]);
  // Asked for at once, and with every change again in case it was cut off on the way.
  useEffect(messageList.fetch);
  const thread = session.thread.value;
  const MessageList = messageList.part.value;
  if (session.state.value === "missing") return <Missing desk={desk} />;
  const empty = thread.messages.length === 0 && thread.pending.length === 0;
  const opening = empty ? session.state.value === "opening" : MessageList === null;
  const assistant = desk.conversation.value?.assistant ?? "Assistant";
  return (
    <>
      {empty && !opening && <EmptyState desk={desk} onStart={(text) => session.send(text)} />}
      {opening && <div class="empty" aria-busy="true" />}
      {!empty && MessageList && <MessageList session={session} assistant={assistant} />}
      <Composer desk={desk} session={session} />
    </>
  );
}
