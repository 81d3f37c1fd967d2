import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Desk } from "../desk";
import { modelName } from "../format";
import { drawerOpen } from "../shortcuts";
import { runningTurn } from "../state/thread";
import { Check, Chevron, Menu, Plus } from "./icons";
import { People } from "./people";

/** Who answers here: the running turn knows best, then the conversation, its assistant, the house. */
function voiceOf(desk: Desk): { assistant: string | null; model: string | null } {
  const thread = desk.session.value.thread.value;
  const turn = runningTurn(thread);
  const name = turn?.assistant ?? desk.conversation.value?.assistant ?? desk.assistants.value[0]?.name ?? null;
  const assistant = desk.assistants.value.find((known) => known.name === name);
  const model = turn?.model ?? desk.conversation.value?.model ?? assistant?.model ?? desk.models.value.default;
  return { assistant: name, model };
}

function ModelMenu({ desk, current, close }: { desk: Desk; current: string | null; close: () => void }) {
  const choose = (id: string): void => {
    close();
    if (id !== current) desk.session.value.send(`/model ${id}`);
  };
  return (
    <div class="menu model-menu" role="menu" aria-label="Model that answers">
      {desk.models.value.items.map(({ id, model, provider, resting, exhausted }) => (
        <button type="button" role="menuitemradio" class="menu-item" key={id} aria-checked={id === current} data-testid="model-option" onClick={() => choose(id)}>
          <span class="menu-item-text">
            {model || id}
            <span class="menu-item-hint">
              {provider}
              {resting !== null && " · keeps failing, left alone for a moment"}
              {exhausted !== null && " · rate limit used up for now"}
            </span>
          </span>
          {id === current && <Check />}
        </button>
      ))}
    </div>
  );
}

function moveFocus(menu: HTMLElement | null, step: number): void {
  const items = [...(menu?.querySelectorAll<HTMLElement>("[role=menuitemradio]") ?? [])];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}

function ModelChip({ desk }: { desk: Desk }) {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  const { assistant, model } = voiceOf(desk);
  useEffect(() => {
    const onPointer = (event: PointerEvent): void => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    addEventListener("pointerdown", onPointer);
    return () => removeEventListener("pointerdown", onPointer);
  }, [open]);
  const toggle = (): void => {
    open.value = !open.value;
    if (open.value) void desk.refreshCatalogue();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (!open.value) return;
    if (event.key === "Escape") {
      event.preventDefault();
      open.value = false;
      root.current?.querySelector("button")?.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      moveFocus(root.current, event.key === "ArrowDown" ? 1 : -1);
    }
  };
  if (assistant === null && model === null) return null;
  return (
    <div class="model" ref={root} onKeyDown={onKey}>
      <button type="button" class="chip" aria-haspopup="menu" aria-expanded={open.value} data-testid="model-chip" onClick={toggle}>
        <span class="visually-hidden">Answered by </span>
        {assistant && <span class="chip-assistant">{assistant}</span>}
        {model && (
          <span class="chip-model" title={model}>
            {modelName(model)}
          </span>
        )}
        <Chevron />
      </button>
      {open.value && <ModelMenu desk={desk} current={model} close={() => (open.value = false)} />}
    </div>
  );
}

export function Header({ desk }: { desk: Desk }) {
  const title = desk.openId.value === null ? "" : (desk.conversation.value?.title ?? "");
  return (
    <header class="header">
      <button type="button" class="icon-button only-narrow" aria-label="Conversations" aria-expanded={drawerOpen.value} data-testid="open-sidebar" onClick={() => (drawerOpen.value = true)}>
        <Menu />
      </button>
      <h1 class="header-title" data-testid="title">
        {title || <span class="visually-hidden">New conversation</span>}
      </h1>
      <People session={desk.session.value} />
      <ModelChip desk={desk} />
      <button type="button" class="icon-button only-narrow" aria-label="New conversation" onClick={() => desk.openNew()}>
        <Plus />
      </button>
    </header>
  );
}
