/**
 * The page: a list of conversations, the open one, and what lies over both.
 *
 * Browser tests hold on to `data-testid`: sidebar, open-sidebar, new-conversation, filter, conversation-list,
 * conversation-item (with data-id; aria-current on the open one), rename, rename-input, delete, confirm-delete,
 * cancel-delete, theme-system, theme-light, theme-dark; title, people, model-chip, model-option, connection-bar; log,
 * message-user (data-state: stored, queued, sending, failed), message-assistant (data-state: streaming or the
 * outcome), message-system, answer-text, answer-footer, thought, tool-card (data-status), notice, jump-latest,
 * load-older, copy-code, copy-answer, retry, discard; composer, send, stop, slash-menu, slash-option; empty-state,
 * starter, missing; toast, toast-action, announcer.
 */

import { useEffect } from "preact/hooks";
import { Announcer } from "./components/announcer";
import { ConnectionBar } from "./components/connection-bar";
import { Conversation } from "./components/conversation";
import { Header } from "./components/header";
import { Sidebar } from "./components/sidebar";
import { Toasts } from "./components/toasts";
import type { Desk } from "./desk";
import { closeDrawer, listenForShortcuts } from "./shortcuts";

export function App({ desk }: { desk: Desk }) {
  useEffect(() => listenForShortcuts(desk), [desk]);
  const session = desk.session.value;
  useEffect(closeDrawer, [session]);
  return (
    <>
      <a class="skip-link" href="#composer">
        Skip to the message field
      </a>
      <Sidebar desk={desk} />
      <main class="main">
        <Header desk={desk} />
        <ConnectionBar />
        <Conversation key={session} desk={desk} session={session} />
      </main>
      <Toasts />
      <Announcer />
    </>
  );
}
