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
    <div class="toast" data-testid="toast">
      <span>{toast.text}</span>
      {action && (
        <button type="button" class="toast-action" data-testid="toast-action" onClick={act}>
          {action.label}
        </button>
      )}
      <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
        <Close />
      </button>
    </div>
  );
}

export function Toasts() {
  return (
    <div class="toasts" role="alert">
      {toasts.value.map((toast) => (
        <ToastItem key={toast.id} toast={toast} />
      ))}
    </div>
  );
}
