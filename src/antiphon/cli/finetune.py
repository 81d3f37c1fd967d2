"""`antiphon finetune`: examples out of the store, and jobs of a vendor that learns from them."""

import sys
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC
from pathlib import Path
from typing import Any, cast

from antiphon.assistants.guardrails import judge
from antiphon.assistants.private import personal_data, secrets
from antiphon.cli.aside import house_aside, in_memory
from antiphon.cli.options import FinetuneOptions
from antiphon.cli.printable import print_json, printable
from antiphon.conversation.training import TrainingData, TrainingReport, Wanted, examined
from antiphon.errors import ValidationError
from antiphon.providers.endpoints import Endpoints
from antiphon.providers.finetuning import FineTuneEvent, FineTuneJob, FineTuning
from antiphon.runtime.files import whole_file
from antiphon.runtime.loops import run
from antiphon.storage.open import to_read
from antiphon.workspace import Workspace


def finetune(options: FinetuneOptions) -> None:
    """Exits with 1 for a job that failed or was cancelled."""
    if options.action == "export":
        _export(options)
        return
    house = house_aside(options.config, in_memory, options.debug)
    jobs = run(_with_vendor(house, options))
    if options.as_json:
        print_json(jobs if options.action == "list" else jobs[0])
    elif options.action == "list":
        sys.stdout.write("".join(map(_line, jobs)) or "There are no jobs.\n")
    if options.action in {"start", "status"} and jobs[0].status in {"failed", "cancelled"}:
        sys.exit(1)


async def _with_vendor(house: Workspace, options: FinetuneOptions) -> list[FineTuneJob]:
    try:
        return await _carried_out(house, options)
    finally:
        await house.models.stop()
        await house.stop()


async def _carried_out(house: Workspace, options: FinetuneOptions) -> list[FineTuneJob]:
    vendor, _, model = (options.model or f"{options.provider}:").partition(":")
    jobs = FineTuning(Endpoints.of(house.providers, vendor))
    tell = sys.stderr.write if options.as_json else sys.stdout.write
    match options.action.value:
        case "list":
            return await jobs.jobs()
        case "cancel":
            job = await jobs.cancel(_target(options, "the id of a job"))
        case "status":
            job = await jobs.get(_target(options, "the id of a job"))
        case _:
            if not model:
                raise ValidationError("Name the model that is to learn: --model openai:gpt-4.1-mini, for example.")
            data = _read(Path(_target(options, "the file of examples")))
            tell(f"{_in_words(examined(data))}\n")
            job = await jobs.start(data, model, suffix=options.suffix, epochs=options.epochs)
    tell(_line(job))
    if options.watch and not job.over:
        job = await _watched(jobs, job, tell)
    if job.trained is not None:
        tell(f"The model is there: antiphon eval cases.jsonl --model {printable(job.trained)}\n")
    return [job]


async def _watched(jobs: FineTuning, job: FineTuneJob, tell: Callable[[str], object]) -> FineTuneJob:
    async with aclosing(cast("Any", jobs.watch(job.id))) as told:
        async for each in told:
            if isinstance(each, FineTuneEvent):
                tell(f"{each.at:%Y-%m-%d %H:%M:%S}  {printable(each.text)}\n")
            else:
                job = each
    tell(_line(job))
    return job


# --- examples -----------------------------------------------------------------------------------------------------


def _export(options: FinetuneOptions) -> None:
    path = Path(_target(options, "the file to write"))
    house = house_aside(options.config, to_read, options.debug)
    try:
        with whole_file(path) as file:
            report = run(_exported(house, options, file.write))
    except OSError as error:
        raise ValidationError(f"{path} cannot be written: {error.strerror}.") from None
    if options.as_json:
        print_json(report)
    else:
        sys.stdout.write(f"{_in_words(report)}\n")


async def _exported(house: Workspace, options: FinetuneOptions, write: Callable[[bytes], object]) -> TrainingReport:
    since = options.since.replace(tzinfo=UTC) if options.since else None
    masked = _masked if options.mask else str
    wanted = Wanted(assistant=options.assistant, since=since, liked=options.liked, masked=masked)
    async with house.aside():
        if options.assistant is not None:
            house.assistants.get(options.assistant)
        data = TrainingData(house.store, house.assistants, house.prompts, wanted)
        async for row in data.rows():
            write(row)
    return data.report


_MASKING = (personal_data(on="both"), secrets(action="mask"))


def _masked(text: str) -> str:
    return judge(text, _MASKING).text


def _target(options: FinetuneOptions, what: str) -> str:
    if not options.target:
        raise ValidationError(f"Name {what}: antiphon finetune {options.action.value} …")
    return options.target


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValidationError(f"{path} cannot be read: {error.strerror}.") from None


# --- for people ---------------------------------------------------------------------------------------------------


def _in_words(report: TrainingReport) -> str:
    left_out = [f"{report.doubled} doubled"] if report.doubled else []
    left_out += [f"{report.too_long} too long"] if report.too_long else []
    more = f" ({', '.join(left_out)})" if left_out else ""
    return f"{report.rows} examples with {report.turns} turns, about {report.tokens:,} tokens{more}."


def _line(job: FineTuneJob) -> str:
    facts = [job.id, job.status, job.model, *([f"→ {job.trained}"] if job.trained else []), *filter(None, [job.error])]
    return f"{printable('  '.join(facts))}\n"
