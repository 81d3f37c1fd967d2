import { useSignal } from "@preact/signals";
import { pretty } from "../format";
import type { Session } from "../session";
import type { Approval } from "../wire";

/** A call that is carried out when this person allows it. */
export function ApprovalCard({ approval, session }: { approval: Approval; session: Session }) {
  const reason = useSignal("");
  const until = new Date(approval.expires_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return (
    <section class="approval" role="group" aria-label={`Permission for ${approval.name}`} data-testid="approval" data-name={approval.name}>
      <p>
        May I use <strong>{approval.name}</strong> with this?
      </p>
      <pre tabIndex={0}>{pretty(approval.arguments)}</pre>
      <form
        class="approval-answers"
        onSubmit={(event) => {
          event.preventDefault();
          session.answerApproval(approval, "deny", reason.value.trim());
        }}
      >
        <button type="button" class="button primary" data-testid="approve" onClick={() => session.answerApproval(approval, "approve")}>
          Approve
        </button>
        <button type="submit" class="button" data-testid="deny">
          Deny
        </button>
        <input
          type="text"
          aria-label={`Why ${approval.name} is denied (optional)`}
          placeholder="Why not? (optional)"
          maxLength={2000}
          value={reason.value}
          onInput={(event) => (reason.value = event.currentTarget.value)}
        />
      </form>
      <p class="approval-until">It is not done if nobody answers by {until}.</p>
    </section>
  );
}
