import { connection } from "../socket";

export function ConnectionBar() {
  const lost = connection.value === "lost";
  return (
    <div class="connection-bar" role="status" data-shown={lost} data-testid="connection-bar">
      {lost && (
        <span>
          <span class="spinner" /> Reconnecting… What you write is kept and sent afterwards.
        </span>
      )}
    </div>
  );
}
