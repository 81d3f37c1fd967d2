"""Commands with many options: the options are fields of a dataclass, which the command is given whole."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

T = TypeVar("T")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings file; antiphon.yaml when there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug lines.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Which model answers, as provider:model; several times for several.")
]


def taking(kind: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Decorator of a command that is given a `kind`, whose fields are its options."""

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            command(kind(**values))

        hints = get_type_hints(kind, include_extras=True)
        parameters = [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if each.default is MISSING else each.default,
                annotation=hints[each.name],
            )
            for each in fields(kind)  # type: ignore[arg-type]  # a dataclass, which no bound can say
        ]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


class ToolsAgain(StrEnum):
    """What becomes of the calls of a replayed turn."""

    recorded = "recorded"
    live = "live"
    none = "none"


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Of `antiphon eval`."""

    file: Annotated[Path, typer.Argument(help="Cases as JSONL.", show_default=False)]
    models: Models = None
    assistant: Annotated[str | None, typer.Option(help="Who is asked, by name or as module:name.")] = None
    judge: Annotated[
        str | None, typer.Option(help="Which model judges where a case names none; the default one when not given.")
    ] = None
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="How often each case is asked.")] = 1
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Answers at the same time.")] = 4
    out: Annotated[
        Path | None,
        typer.Option(help="Where results go, as JSONL; what is there already is not asked again. One run at a time."),
    ] = None
    fail_under: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit with 1 when a model is right less often, from 0 to 1.")
    ] = None
    from_conversation: Annotated[
        str | None, typer.Option(help="Ask nothing: write the turns of this conversation into the file, as cases.")
    ] = None
    as_json: AsJson = False
    config: ConfigFile = None
    debug: Debug = False


class FinetuneAction(StrEnum):
    """What `antiphon finetune` does."""

    export = "export"
    start = "start"
    status = "status"
    cancel = "cancel"
    list = "list"


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """Of `antiphon finetune`."""

    action: Annotated[
        FinetuneAction,
        typer.Argument(
            help="export: write examples; start, status, cancel: a job; list: all jobs.", show_default=False
        ),
    ]
    target: Annotated[
        str | None, typer.Argument(help="The file of examples, or the id of a job.", show_default=False)
    ] = None
    model: Annotated[str | None, typer.Option(help="Which model learns, as provider:model.")] = None
    provider: Annotated[str, typer.Option(help="Whose jobs, where no model is named.")] = "openai"
    assistant: Annotated[str | None, typer.Option(help="Only turns that this assistant answered.")] = None
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only turns since this day.")] = None
    liked: Annotated[bool, typer.Option("--liked", help="Only answers that people called good.")] = False
    mask: Annotated[bool, typer.Option("--mask", help="Mask personal data and keys.")] = False
    suffix: Annotated[str | None, typer.Option(help="A part of the new model's name.")] = None
    epochs: Annotated[int | None, typer.Option(min=1, max=50, help="How often the examples are learned.")] = None
    watch: Annotated[bool, typer.Option("--watch", help="Tell what the job tells until it is over.")] = False
    as_json: AsJson = False
    config: ConfigFile = None
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Of `antiphon replay`."""

    turn: Annotated[
        str | None, typer.Argument(help="Id of a turn, of a conversation, or conversation:ticket.", show_default=False)
    ] = None
    last: Annotated[bool, typer.Option("--last", help="The newest turn of all.")] = False
    models: Models = None
    prompt: Annotated[
        str | None, typer.Option(help="Other instructions: a file, or a prompt as name or name:version.")
    ] = None
    assistant: Annotated[str | None, typer.Option(help="Another assistant, by name or as module:name.")] = None
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each model answers.")] = 1
    tools: Annotated[
        ToolsAgain,
        typer.Option(help="Give calls what they were given then (recorded), carry them out (live), or offer none."),
    ] = ToolsAgain.recorded
    as_json: AsJson = False
    config: ConfigFile = None
    debug: Debug = False
