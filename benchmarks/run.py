"""Measures what we claim beside what others do: `make bench`, or `python benchmarks/run.py logs` for one.

Each `bench_<name>.py` here has a function `cases()` that returns callables by name, ours first; each does one unit of
work. Rounds of all cases alternate, so that a change of the machine's mood hits them alike; the figure is the median of
CPU time (not of elapsed time) a unit. Results are kept as data in `results/<name>.json`.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 15
SECONDS_A_ROUND = 0.05

Case = Callable[[], object]


def cpu_seconds(case: Case, units: int) -> float:
    began = time.process_time()
    for _ in range(units):
        case()
    return (time.process_time() - began) / units


def units_for(case: Case) -> int:
    """How many units fill a round."""
    units = 1
    while (took := cpu_seconds(case, units) * units) < SECONDS_A_ROUND / 4:
        units *= 2
    return max(1, round(units * SECONDS_A_ROUND / took))


def measure(cases: dict[str, Case]) -> dict[str, float]:
    """The median of microseconds a unit, by case."""
    units = {name: units_for(case) for name, case in cases.items()}
    rounds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            rounds[name].append(cpu_seconds(case, units[name]) * 1e6)
    return {name: statistics.median(figures) for name, figures in rounds.items()}


def run(name: str) -> None:
    figures = measure(import_module(f"bench_{name}").cases())
    ours = next(iter(figures.values()))
    print(f"{name}: microseconds of CPU a unit")
    for case, figure in figures.items():
        print(f"  {figure:10.2f}  {figure / ours:6.2f} ×  {case}")
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    results = {"microseconds": {case: round(figure, 3) for case, figure in figures.items()}, "on": machine}
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")


def main() -> None:
    sys.path.insert(0, str(HERE))
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    wanted = sys.argv[1:] or known
    if unknown := set(wanted) - set(known):
        sys.exit(f"There is no benchmark named {', '.join(sorted(unknown))}; known are: {', '.join(known)}.")
    for name in wanted:
        run(name)


if __name__ == "__main__":
    main()
