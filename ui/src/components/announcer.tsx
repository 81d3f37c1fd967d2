import { announcement } from "../state/announcer";

export function Announcer() {
  return (
    <div class="visually-hidden" role="status" aria-live="polite" data-testid="announcer">
      {announcement.value}
    </div>
  );
}
