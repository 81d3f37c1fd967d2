"""`antiphon doctor`: asks everything at once, each within its time, and shows the answers in their order."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.cli.doctor import house, machine
from antiphon.cli.doctor.finding import Check, Finding
from antiphon.cli.printable import print_json
from antiphon.errors import AntiphonError
from antiphon.settings.config import Config
from antiphon.settings.rules import sentence
from antiphon.telemetry.logs import setup_logging
from antiphon.telemetry.redaction import redact_text

PATIENCE = 8.0
"""Seconds for each check; all of them run at once."""

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def doctor(path: Path | None, *, as_json: bool) -> None:
    """Shows what it finds; exits with 1 when something must be mended before the house can work."""
    setup_logging("CRITICAL", "console")
    findings = [_safe(finding) for finding in asyncio.run(examine(path))]
    if as_json:
        print_json(findings)
    else:
        _show(findings)
    if any(finding.mark == "fail" for finding in findings):
        sys.exit(1)


async def examine(path: Path | None) -> list[Finding]:
    """What all checks found. A configuration that is wrong hides what depends on it, and nothing else."""
    asked: list[tuple[str, Check]] = [("System", machine.system), ("Limits", machine.limits), ("Page", machine.page)]
    settings: list[Finding] = []
    try:
        config = Config.load(path)
        settings = [*_settings(config)]
        asked += house.checks(config)
    except AntiphonError as error:
        advice = "Mend it first: what depends on it was not looked at."
        settings = [Finding("fail", "Settings", line, advice) for line in error.public.splitlines()]
    results = await asyncio.gather(*(_asked(what, check) for what, check in asked))
    about_machine, about_house = results[:3], results[3:]
    return [finding for findings in (*about_machine, settings, *about_house) for finding in findings]


def _settings(config: Config) -> Iterable[Finding]:
    names = dict.fromkeys(str(file) for file in config.read_from if file.is_file())
    yield Finding("ok", "Settings", f"{config.environment}, {', '.join(names) or 'nothing but defaults'}")
    for problem in config.problems():
        yield Finding("warn", "Settings", sentence(config, problem))
    for file in config.unused_files:
        yield Finding("warn", "Settings", f"{file} is not read", "Call it antiphon.yaml.")


async def _asked(what: str, check: Check) -> Iterable[Finding]:
    try:
        async with asyncio.timeout(PATIENCE):
            return [*await check()]
    except TimeoutError:
        return [Finding("fail", what, f"no answer within {PATIENCE:g} s", "Check its address and the network.")]
    except AntiphonError as error:
        return [Finding("fail", what, error.public)]
    except Exception as error:  # noqa: BLE001 - half of the house may be broken, and the other half is asked for
        return [Finding("fail", what, f"{type(error).__name__}: {error}")]


def _safe(finding: Finding) -> Finding:
    return msgspec.structs.replace(finding, found=redact_text(finding.found), advice=redact_text(finding.advice))


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        sign, colour = _MARKS[finding.mark]
        table.add_row(Text(sign, colour), Text(finding.what, "bold"), Text(finding.found))
        if finding.advice:
            table.add_row("", "", Text(f"→ {finding.advice}", colour))
    console.print(table)
    console.print(_summary(findings))


def _summary(findings: list[Finding]) -> Text:
    failed = sum(finding.mark == "fail" for finding in findings)
    warned = sum(finding.mark == "warn" for finding in findings)
    if failed:
        return Text(f"\n{failed} to mend" + (f", {warned} to look at" if warned else "") + ".", "bold red")
    if warned:
        return Text(f"\nIt works; {warned} to look at.", "bold yellow")
    return Text("\nAll is well.", "bold green")
