"""`python -m antiphon.testing.conformance http://127.0.0.1:4100/socket`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from antiphon.testing.conformance import report
from antiphon.testing.conformance.raw import RoomAddress
from antiphon.testing.conformance.registry import all_checks, chosen
from antiphon.testing.conformance.runner import Runner

KEPT, BROKEN, UNASKED = 0, 1, 2
"""Exit codes: every rule of Phoenix holds, one is broken, nothing could be asked."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Asks, prints, and returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        checks = chosen(options.only) if options.only else all_checks()
        checks = [each for each in checks if options.slow or not each.slow]
        if options.list:
            print(report.listing(checks))
            return KEPT
        if options.url is None:
            print("Name a server: python -m antiphon.testing.conformance http://127.0.0.1:4100/socket", file=sys.stderr)
            return UNASKED
        address = RoomAddress.of(options.url)
        verdicts = asyncio.run(Runner(address, patience=options.patience).run(checks))
    except (ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return UNASKED
    print(report.as_json(verdicts) if options.json else report.table(verdicts))
    return BROKEN if any(each.outcome == "failed" and each.level == "must" for each in verdicts) else KEPT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m antiphon.testing.conformance",
        description="Asks a server that runs the reference room whether it keeps the rules of the Phoenix protocol. "
        "Exit code 0: it does. 1: a rule is broken. 2: nothing could be asked.",
    )
    parser.add_argument("url", nargs="?", help="where the room is mounted, such as http://127.0.0.1:4100/socket")
    parser.add_argument("--only", metavar="IDS", help="rules or families, such as JN-6,LV")
    parser.add_argument("--slow", action="store_true", help="also what takes longer than a minute")
    parser.add_argument("--json", action="store_true", help="the verdicts as JSON")
    parser.add_argument("--list", action="store_true", help="the checks, without asking anybody")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds until an answer counts as missing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
