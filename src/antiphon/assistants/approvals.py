"""Which calls a person must allow first, and what a model is told of those that were not allowed."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct, structs

from antiphon.assistants.assistant import AnyTool
from antiphon.domain import AnyPart, Approval, ToolPart, Usage
from antiphon.runtime.spelling import did_you_mean
from antiphon.tools.config import Demand

NOBODY_TO_ASK = (
    "A person must allow this call first, and nobody can be asked here. It was not carried out; go on without it."
)


class ApprovalRules(Struct, frozen=True):
    """The rules of a house: what its operator says of a tool by its name (`demands`), else what the tool itself says.

    Without `people` there is nobody who could be asked, and what needs it is not carried out.
    """

    demands: Mapping[str, Demand] = {}
    people: bool = True

    def ask(self, tool: AnyTool | None, arguments: str) -> bool:
        """Whether a person must allow the call first. A tool that does not exist fails without anybody's help."""
        if tool is None:
            return False
        demand = self.demands.get(tool.name)
        return demand != "never" and tool.asks(arguments, always=demand == "always")


def unknown_demands(
    demands: Iterable[str], tools: Collection[str], *, not_here_yet: Collection[str] = ()
) -> Iterator[str]:
    """A sentence for each tool of `demands` that is none of `tools`: who misspells one would think that it asks.

    Of those that begin with one of `not_here_yet` nothing can be said."""
    for name in demands:
        if name not in tools and not name.startswith(tuple(not_here_yet)):
            hint = did_you_mean(name, tools, f"There is: {', '.join(sorted(tools)) or 'none'}.")
            yield f"tools.approval names {name!r}, which is no tool.{hint}"


NOBODY = ApprovalRules(people=False)
"""Where a run stands alone: the tools' own rules count, and nobody can be asked."""


class Paused(Struct, frozen=True, kw_only=True):
    """The last event of a run that goes on when people have answered: a new one is begun with this as its `earlier`.

    `calls` are those that must be allowed; in `parts`, the answer so far, they are still running.
    """

    calls: tuple[ToolPart, ...]
    parts: tuple[AnyPart, ...]
    steps: int
    usage: Usage | None


class Earlier(Struct, frozen=True, kw_only=True):
    """What a run goes on from, and what people have answered, by call id."""

    parts: tuple[AnyPart, ...]
    steps: int
    usage: Usage | None
    answers: Mapping[str, Approval]


def refused(part: ToolPart, approval: Approval | None) -> ToolPart:
    """The call as one that was not carried out, with the reason in words for the model."""
    if approval is None:
        why = NOBODY_TO_ASK
    elif approval.verdict == "expired":
        why = "Nobody allowed this call in time. It was not carried out; say so, and go on without it."
    else:
        said = f" They said: {approval.reason}" if approval.reason else ""
        why = (
            f"The person did not allow this call, and it was not carried out.{said} Do not repeat it; go on without it."
        )
    return structs.replace(part, status="cancelled", result=why)
