import { chooseTheme, theme } from "../state/theme";
import type { Theme } from "../state/theme";
import { Moon, Screen, Sun } from "./icons";

const CHOICES: { theme: Theme; label: string; Icon: typeof Sun }[] = [
  { theme: "system", label: "Like the system", Icon: Screen },
  { theme: "light", label: "Light", Icon: Sun },
  { theme: "dark", label: "Dark", Icon: Moon },
];

export function ThemeChoice() {
  return (
    <fieldset class="segments">
      <legend class="visually-hidden">Colours</legend>
      {CHOICES.map(({ theme: choice, label, Icon }) => (
        <label class="segment" key={choice} title={label}>
          <input type="radio" name="theme" class="visually-hidden" checked={theme.value === choice} aria-label={label} data-testid={`theme-${choice}`} onChange={() => chooseTheme(choice)} />
          <Icon />
        </label>
      ))}
    </fieldset>
  );
}
