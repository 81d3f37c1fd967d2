"""Measures what we claim beside what stands under it: `make bench`, or `python -m benchmarks.run token` for one.

Rounds of all cases alternate, so that a change of the machine's mood hits them alike; the figure is the median of the
rounds, and the ratio is to the module's `REFERENCE`, measured in the same run. Results are kept as data in
`results/<name>.json`. `--once` runs one small round of everything and keeps nothing: it shows that all cases work.
"""

import json
import platform
import statistics
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
SMALL = 0.02


def measure(bench: ModuleType, rounds: int, scale: float) -> dict[str, list[float]]:
    """Every round of every case, in the module's `UNIT`."""
    with bench.cases(scale) as cases:
        figures: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                figures[name].append(case())
    return figures


def show(name: str, bench: ModuleType, medians: dict[str, float]) -> None:
    print(f"{name}: {bench.UNIT}")
    for case, figure in medians.items():
        print(f"  {figure:10.2f}  {figure / medians[bench.REFERENCE]:7.2f} ×  {case}")
    print(flush=True)


def keep(name: str, bench: ModuleType, rounds: dict[str, list[float]], medians: dict[str, float]) -> None:
    reference = medians[bench.REFERENCE]
    results = {
        "unit": bench.UNIT,
        "reference": bench.REFERENCE,
        "cases": {
            case: {
                "median": round(medians[case], 3),
                "least": round(min(figures), 3),
                "most": round(max(figures), 3),
                "ratio": round(medians[case] / reference, 3),
            }
            for case, figures in rounds.items()
        },
        "rounds": max(map(len, rounds.values())),
        "on": {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()},
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def main(arguments: list[str]) -> None:
    once = "--once" in arguments
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    wanted = [name for name in arguments if name != "--once"] or known
    if unknown := set(wanted) - set(known):
        sys.exit(f"There is no benchmark named {', '.join(sorted(unknown))}; known are: {', '.join(known)}.")
    for name in wanted:
        bench = import_module(f"benchmarks.bench_{name}")
        rounds = measure(bench, 1 if once else bench.ROUNDS, SMALL if once else 1.0)
        medians = {case: statistics.median(figures) for case, figures in rounds.items()}
        show(name, bench, medians)
        if not once:
            keep(name, bench, rounds, medians)


if __name__ == "__main__":
    main(sys.argv[1:])
