import { dismiss, toasts } from "../state/toasts";
import type { Toast } from "../state/toasts";
import { Close } from "./icons";

function ToastItem({ toast }: { toast: Toast }) {
  const { action } = toast;
  const act = (): void => {
    dismiss(toast.id);
    action?.run();
  };
  return (
    <li class="toast" data-testid="toast">
      <span>{toast.text}</span>
      {action && (
        <button type="button" class="toast-action" data-testid="toast-action" onClick={act}>
          {action.label}
        </button>
      )}
      <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
        <Close />
      </button>
    </li>
  );
}

export function Toasts() {
  return (
    <ul class="toasts" role="alert" aria-label="Notifications">
      {toasts.value.map((toast) => (
        <ToastItem key={toast.id} toast={toast} />
      ))}
    </ul>
  );
}
