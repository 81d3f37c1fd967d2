/** What the model showed of its thinking, folded away. */
export function Thought({ text, active }: { text: string; active: boolean }) {
  return (
    <details class="thought" data-testid="thought">
      <summary>
        <span class={active ? "shimmer" : undefined}>{active ? "Thinking…" : "Thought"}</span>
      </summary>
      <div class="thought-text">{text}</div>
    </details>
  );
}
