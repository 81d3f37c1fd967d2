import type { Completion } from "../state/slash";

interface Props {
  items: readonly Completion[];
  chosen: number;
  onPoint: (index: number) => void;
  onAccept: (item: Completion) => void;
}

export function SlashMenu({ items, chosen, onPoint, onAccept }: Props) {
  return (
    <ul id="slash-menu" class="menu slash-menu" role="listbox" aria-label="Commands" data-testid="slash-menu">
      {items.map((item, index) => (
        <li
          key={item.text}
          id={`slash-${index}`}
          class="menu-item"
          role="option"
          aria-selected={index === chosen}
          data-testid="slash-option"
          // The field keeps the focus.
          onPointerDown={(event) => event.preventDefault()}
          // A pointer that only rests where the menu opens chooses nothing.
          onPointerMove={() => onPoint(index)}
          onClick={() => onAccept(item)}
        >
          <span class="menu-item-label">{item.label}</span>
          <span class="menu-item-hint">{item.hint}</span>
        </li>
      ))}
    </ul>
  );
}
