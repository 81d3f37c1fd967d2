import { useComputed, useSignal } from "@preact/signals";
import type { Desk } from "../desk";
import { closeDrawer, drawerOpen, focusComposer, isNarrow } from "../shortcuts";
import { groupedByDay, matching } from "../state/conversations";
import type { Conversation } from "../wire";
import { ConfirmDelete } from "./confirm-delete";
import { ConversationItem } from "./conversation-item";
import { Close, Mark, Plus, Search } from "./icons";
import { ThemeChoice } from "./theme-choice";

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);

function ListNote({ desk, query }: { desk: Desk; query: string }) {
  if (desk.conversations.value === null) return null;
  return <p class="list-note">{query ? "No conversation has this in its title." : "Your conversations will be listed here."}</p>;
}

function List({ desk, query, onDelete }: { desk: Desk; query: string; onDelete: (conversation: Conversation) => void }) {
  const groups = groupedByDay(matching(desk.conversations.value ?? [], query), new Date());
  return (
    <nav class="list" aria-label="Conversations" data-testid="conversation-list">
      {groups.length === 0 && <ListNote desk={desk} query={query} />}
      {groups.map((group) => (
        <section key={group.label} aria-label={group.label}>
          <h2 class="list-day">{group.label}</h2>
          <ul>
            {group.items.map((conversation) => (
              <ConversationItem key={conversation.id} desk={desk} conversation={conversation} onDelete={onDelete} />
            ))}
          </ul>
        </section>
      ))}
    </nav>
  );
}

export function Sidebar({ desk }: { desk: Desk }) {
  const query = useSignal("");
  const doomed = useSignal<Conversation | null>(null);
  const hidden = useComputed(() => isNarrow.value && !drawerOpen.value);
  const openNew = (): void => {
    desk.openNew();
    closeDrawer();
    focusComposer();
  };
  const onFilterKey = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !query.value) return;
    event.preventDefault();
    query.value = "";
  };
  return (
    <>
      <div class="backdrop" data-shown={isNarrow.value && drawerOpen.value} onClick={closeDrawer} />
      <aside class="sidebar" aria-label="Conversations" inert={hidden.value} data-open={drawerOpen.value} data-testid="sidebar">
        <div class="sidebar-top">
          <span class="brand">
            <Mark /> Antiphon
          </span>
          <button type="button" class="icon-button only-narrow" aria-label="Close" onClick={closeDrawer}>
            <Close />
          </button>
        </div>
        <button type="button" class="new-button" data-testid="new-conversation" onClick={openNew}>
          <Plus /> New conversation
        </button>
        <label class="filter">
          <Search />
          <span class="visually-hidden">Filter conversations</span>
          <input id="filter" type="search" placeholder="Filter" autocomplete="off" value={query.value} data-testid="filter" onInput={(event) => (query.value = event.currentTarget.value)} onKeyDown={onFilterKey} />
          <kbd>{isApple ? "⌘K" : "Ctrl K"}</kbd>
        </label>
        <List desk={desk} query={query.value} onDelete={(conversation) => (doomed.value = conversation)} />
        <div class="sidebar-bottom">
          <ThemeChoice />
        </div>
      </aside>
      {doomed.value && <ConfirmDelete desk={desk} conversation={doomed.value} close={() => (doomed.value = null)} />}
    </>
  );
}
