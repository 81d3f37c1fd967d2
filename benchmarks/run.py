"""Measures what we claim beside what stands under it: `make bench`, or `python -m benchmarks.run token` for one.

Rounds of all cases alternate, so that a change of the machine's mood hits them alike; the figure is the median of the
rounds, and the ratio is to the module's `REFERENCE`, measured in the same run: one case, or in each group of cases
(`group: case`) the one of that name. A module may say what is promised: `RATIOS`, the most a case may be of its
reference, `LEAST`, the least (of a peer beside us), and `LIMITS`, in its `UNIT`. Results are kept as data in
`results/<name>.json`. `--once` runs one small round of everything and keeps nothing: it shows that all cases work.
"""

import json
import os
import platform
import statistics
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks import page

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


def reference(bench: ModuleType, case: str, medians: dict[str, float]) -> float:
    """The figure that the case is compared with."""
    group = case.rpartition(": ")[0]
    return medians[bench.REFERENCE if bench.REFERENCE in medians else f"{group}: {bench.REFERENCE}"]


def promise(bench: ModuleType, case: str, figure: float, ratio: float) -> dict[str, float | bool]:
    """What is promised of the case, and whether it was kept; nothing for most."""
    if case in getattr(bench, "RATIOS", ()):
        return {"promised ratio": bench.RATIOS[case], "kept": ratio <= bench.RATIOS[case]}
    if case in getattr(bench, "LEAST", ()):
        return {"promised least": bench.LEAST[case], "kept": ratio >= bench.LEAST[case]}
    if case in getattr(bench, "LIMITS", ()):
        return {"promised": bench.LIMITS[case], "kept": figure <= bench.LIMITS[case]}
    return {}


def show(name: str, bench: ModuleType, medians: dict[str, float]) -> None:
    print(f"{name}: {bench.UNIT}")
    for case, figure in medians.items():
        ratio = figure / reference(bench, case, medians)
        said = promise(bench, case, figure, ratio)
        wording = {"promised ratio": "{} ×", "promised least": "at least {} ×", "promised": "{}"}
        what = [words.format(said[name]) for name, words in wording.items() if name in said]
        verdict = f"  (promised {what[0]}: {'kept' if said['kept'] else 'MISSED'})" if what else ""
        print(f"  {figure:10.2f}  {ratio:7.2f} ×  {case}{verdict}")
    print(flush=True)


def keep(name: str, bench: ModuleType, rounds: dict[str, list[float]], medians: dict[str, float]) -> None:
    ratios = {case: figure / reference(bench, case, medians) for case, figure in medians.items()}
    results = {
        "unit": bench.UNIT,
        "reference": bench.REFERENCE,
        "cases": {
            case: {
                "median": round(medians[case], 3),
                "least": round(min(figures), 3),
                "most": round(max(figures), 3),
                "ratio": round(ratios[case], 3),
                **promise(bench, case, medians[case], ratios[case]),
            }
            for case, figures in rounds.items()
        },
        "rounds": max(map(len, rounds.values())),
        "on": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
            "load": [round(load, 2) for load in os.getloadavg()],
        },
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
            page.main()


if __name__ == "__main__":
    main(sys.argv[1:])
