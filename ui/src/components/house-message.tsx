import type { HouseRow } from "../state/rows";
import { Markdown } from "./markdown";

/** The house itself: answers to commands, and refusals with their reason. */
export function HouseMessage({ row }: { row: HouseRow }) {
  const { message } = row;
  return (
    <article class="house" aria-label="Antiphon" data-testid="message-system" data-state={message.status}>
      <Markdown text={message.text} />
    </article>
  );
}
