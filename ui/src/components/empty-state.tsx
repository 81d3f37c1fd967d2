import type { Desk } from "../desk";
import { Mark } from "./icons";

const STARTERS = [
  { text: "What can you do?", hint: "A short tour" },
  { text: "What is 17% of 2,340?", hint: "Worked out by a tool" },
  { text: "What time is it in Tokyo?", hint: "Looked up, not guessed" },
  { text: "How do I connect my own model?", hint: "Answered from the manual" },
];

export function EmptyState({ desk, onStart }: { desk: Desk; onStart: (text: string) => void }) {
  const isDemo = desk.models.value.default?.startsWith("demo") ?? false;
  return (
    <div class="empty" data-testid="empty-state">
      <Mark />
      <h2>What shall we talk about?</h2>
      {isDemo && <p class="empty-note">The built-in demo model answers: rules, search and real tools, no AI. Connect a model when you like.</p>}
      <ul class="starters">
        {STARTERS.map(({ text, hint }) => (
          <li key={text}>
            <button type="button" class="starter" data-testid="starter" onClick={() => onStart(text)}>
              {text}
              <span>{hint}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
