"""`/why`: how the last answer came about."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome


async def run(call: CommandCall) -> CommandOutcome:
    record = await call.house.last_turn(call.conversation.id)
    if record is None:
        return CommandOutcome(text="No model has answered in this conversation yet.")
    lines = [
        f"The last answer came from `{record.model}`, as **{record.assistant}**; chosen by: {record.chosen_by}.",
        "",
    ]
    lines += [f"{number}. {step}: {finding}" for number, (step, finding) in enumerate(record.considered, 1)]
    if (assignment := record.assignment) is not None:
        lines += ["", f"Its prompt was `{assignment.variant}`, a variant of the experiment `{assignment.experiment}`."]
    usage = record.usage
    about = "about " if usage.estimated else ""
    cost = f"${usage.cost:.4f}" if usage.cost is not None else "price unknown"
    lines += ["", f"It read {about}{usage.input_tokens} and wrote {about}{usage.output_tokens} tokens ({cost})."]
    if record.elapsed_ms is not None:
        lines[-1] += f" It took {record.elapsed_ms / 1000:.1f} s."
    if record.reason:
        lines.append(f"It ended as {record.outcome}: {record.reason}")
    return CommandOutcome(text="\n".join(lines))


command = Command(
    name="why",
    usage="/why",
    summary="tells which model gave the last answer, which step chose it and which tools were used.",
    run=run,
)
