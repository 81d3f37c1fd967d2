import type { Completion } from "../state/slash";

interface Props {
  items: readonly Completion[];
  chosen: number;
  onChoose: (item: Completion) => void;
}

export function SlashMenu({ items, chosen, onChoose }: Props) {
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
          onClick={() => onChoose(item)}
        >
          <span class="menu-item-label">{item.label}</span>
          <span class="menu-item-hint">{item.hint}</span>
        </li>
      ))}
    </ul>
  );
}
