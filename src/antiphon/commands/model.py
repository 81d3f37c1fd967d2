"""`/model`: which model answers, and another one from now on."""

from antiphon.commands.base import Command, CommandCall, CommandOutcome

CLEAR = {"default", "auto", "reset"}


async def run(call: CommandCall) -> CommandOutcome:
    words = call.argument.split()
    always = len(words) > 1 and words[-1].lower() == "always"
    if not words:
        return await _show(call)
    if not call.house.may_choose(call.person):
        return CommandOutcome(
            text="The operator chooses the model here. `/model` shows which one answers.", refused=True
        )
    name = " ".join(words[:-1] if always else words)
    if name.lower() in CLEAR:
        if always:
            return CommandOutcome(
                text="Your preference is cleared. `/model` shows which one answers now.", preferred_model=""
            )
        return CommandOutcome(
            text="This conversation has no model of its own any more. `/model` shows which one answers now.", model=""
        )
    model = await call.house.known_model(name)
    if always:
        return CommandOutcome(
            text=f"`{model}` answers you from now on, unless a conversation has a model of its own.",
            preferred_model=model,
        )
    return CommandOutcome(text=f"`{model}` answers in this conversation from now on.", model=model)


async def _show(call: CommandCall) -> CommandOutcome:
    current, chosen_by = call.house.selection(call.conversation, call.person)
    lines = [f"`{current}` answers here (chosen by: {chosen_by}).", ""]
    if not call.house.may_choose(call.person):
        return CommandOutcome(text=lines[0])
    models = await call.house.models()
    if models:
        lines += ["Models on offer:", "", *(f"- `{model}`" for model in models[:30])]
        if len(models) > 30:
            lines.append(f"- and {len(models) - 30} more")
    lines += [
        "",
        "`/model <name>` changes it here, `/model <name> always` for you everywhere, `/model default` undoes it.",
    ]
    return CommandOutcome(text="\n".join(lines))


command = Command(
    name="model",
    usage="/model [name] [always]",
    summary="shows which model answers, or lets another one answer from now on.",
    run=run,
)
