"""Makes `docs/reference/performance.md` of what was measured: `python -m benchmarks.page`. `make bench` does it too."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"

ORDER = {
    "assistants": "The loop of an assistant, beside other frameworks",
    "token": "A streamed token on its whole way",
    "turn": "A whole turn",
    "sockets": "Echo and fan-out",
    "core": "The same without the kernel",
    "connections": "Connecting and joining",
    "latency": "Latency of a fan-out",
    "idle": "Memory of a connection at rest",
    "http": "Requests over HTTP",
    "session": "Finding a session",
    "logs": "A line of the log",
    "memory": "Memory at rest",
    "start": "Starting",
}

HEAD = """# Performance

What is claimed of speed, measured beside what stands under it and beside others. Time is CPU time, which a busy machine
disturbs less than the clock; each figure is the median of rounds in which all cases alternate, and the ratio is to the
case in bold, in the same run. Ratios hold on other machines, figures do not: compare them with your own.
`make bench` measures again and makes this page anew; `make bench ARGS="sockets http"` does so for some.

The *C floor* is an epoll server without any of a server's duties ([`floor.c`](../../benchmarks/floor.c)), *bare Python*
one class on uvloop with as few ([`bare.py`](../../benchmarks/bare.py)): no server in that language goes below it. Other
frameworks run in environments of their own, with the versions pinned in
[`benchmarks/peers`](../../benchmarks/peers/environments.py).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(name, heading) for name, heading in ORDER.items() if _kept(name).exists())])


def _kept(name: str) -> Path:
    return RESULTS / f"{name}.json"


def _section(name: str, heading: str) -> str:
    kept = json.loads(_kept(name).read_text(encoding="utf-8"))
    about = " ".join((import_module(f"benchmarks.bench_{name}").__doc__ or "").split())
    measured = kept["on"]
    where = f"{kept['rounds']} rounds on Python {measured['python']}, {measured['system']} {measured['machine']}"
    load = f"load {measured['load'][0]} of others at the end" if "load" in measured else ""
    prose = f"{about} In {kept['unit']}; {', '.join(filter(None, (where, load)))}."
    lines = [f"## {heading}", "", textwrap.fill(prose, 120, break_long_words=False, break_on_hyphens=False), ""]
    return "\n".join([*lines, *_tables(kept), ""])


def _tables(kept: Mapping[str, Any]) -> Iterator[str]:
    yield "| | Median | Least to most | Ratio | Promised |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for group, entries in groupby(kept["cases"].items(), key=lambda entry: entry[0].rpartition(": ")[0]):
        cases = list(entries)
        if grouped := len(cases) > 1 and bool(group):
            yield f"| *{group}* | | | | |"
        for name, case in cases:
            shown = name.removeprefix(f"{group}: ") if grouped else name
            shown = f"**{shown}**" if kept["reference"] in {name, shown} else shown
            span = f"{_rounded(case['least'])} to {_rounded(case['most'])}"
            yield f"| {shown} | {_rounded(case['median'])} | {span} | {case['ratio']:.2f} | {_promise(case)} |"


def _rounded(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"


def _promise(case: Mapping[str, Any]) -> str:
    words = {"promised ratio": "at most {} ×", "promised least": "at least {} ×", "promised": "at most {}"}
    said = [word.format(case[name]) for name, word in words.items() if name in case]
    return f"{said[0]}: {'kept' if case['kept'] else '**missed**'}" if said else ""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
