import { briefly, duration, pretty } from "../format";
import type { ToolPart, ToolStatus } from "../wire";
import { Check, Chevron, Cross } from "./icons";

const SAID: Record<ToolStatus, string> = {
  running: "running",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
};

function StatusIcon({ status }: { status: ToolStatus }) {
  if (status === "running") return <span class="spinner" />;
  return status === "done" ? <Check /> : <Cross />;
}

function isEmpty(json: string): boolean {
  return json.trim() === "" || json.trim() === "{}";
}

export function ToolCard({ part }: { part: ToolPart }) {
  return (
    <details class="tool" data-testid="tool-card" data-status={part.status} data-name={part.name}>
      <summary>
        <span class="tool-status">
          <StatusIcon status={part.status} />
          <span class="visually-hidden">{SAID[part.status]}</span>
        </span>
        <span class="tool-name">{part.name}</span>
        {!isEmpty(part.arguments) && <span class="tool-brief">{briefly(part.arguments)}</span>}
        <span class="tool-time">
          {part.status === "failed" && "failed "}
          {part.status === "cancelled" && "stopped "}
          {part.elapsed_ms !== null && duration(part.elapsed_ms)}
        </span>
        <Chevron />
      </summary>
      <div class="tool-body">
        <p class="tool-label">Arguments</p>
        <pre tabIndex={0}>{isEmpty(part.arguments) ? "none" : pretty(part.arguments)}</pre>
        {part.result !== null && (
          <>
            <p class="tool-label">Result</p>
            <pre tabIndex={0}>{pretty(part.result)}</pre>
          </>
        )}
      </div>
    </details>
  );
}
