"""``python -m benchmarks.downstream --data DIR``: run what is missing, then write the tables and the figure.

Every output of every method is judged on every task that applies, and its scores are rows of ``results.csv``. A fit
whose rows exist is not run again; ``--again --methods icm`` repeats those of one method after it changed.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

import pandas as pd
from benchmarks.downstream.cases import CASES, make_case
from benchmarks.downstream.methods import FITS
from benchmarks.downstream.report import write
from benchmarks.downstream.tasks import scores
from benchmarks.report import keep

RESULTS = Path(__file__).parent / "results.csv"
_KEYS = ("case", "seed", "fit", "method", "task", "score")


def main() -> int:
    """Parse, run, report; the number of failures is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.downstream", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of the shared sets; without it only what needs none")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=list(FITS), default=list(FITS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--again", action="store_true", help="run fits whose rows exist, too")
    parser.add_argument("--report-only", action="store_true", help="only the tables and the figure")
    options = parser.parse_args()
    failures = 0
    for seed in [] if options.report_only else options.seeds:
        for name in options.cases:
            missing = [method for method in options.methods if options.again or not _known(name, seed, method)]
            failures += _run(name, missing, data=options.data, seed=seed) if missing else 0
    if RESULTS.exists():
        write(pd.read_csv(RESULTS))
    return min(failures, 1)


def _known(case: str, seed: int, fit: str) -> bool:
    if not RESULTS.exists():
        return False
    rows = pd.read_csv(RESULTS)
    return bool(((rows["case"] == case) & (rows["seed"] == seed) & (rows["fit"] == fit)).any())


def _run(name: str, methods: list[str], *, data: Path | None, seed: int) -> int:
    """All missing methods on one case; a method that fails is named and leaves no row."""
    try:
        case = make_case(name, data=data, seed=seed)
    except Exception as error:  # noqa: BLE001  a set or a package that is not there leaves the other cases
        print(f"{name}: no data ({error})", flush=True)
        return 1
    failures = 0
    for fit in methods:
        begin = time.perf_counter()
        try:
            outputs = FITS[fit](case.counts, seed)
            seconds = time.perf_counter() - begin
            rows = [
                {"case": name, "seed": seed, "fit": fit, "method": method, "task": task, "score": score, "value": value}
                | {"seconds": seconds}
                for method, output in outputs.items()
                for task, score, value in scores(output, case, seed=seed)
            ]
        except Exception:  # noqa: BLE001  the other methods go on
            traceback.print_exc()
            print(f"{name} {seed} {fit}: failed", flush=True)
            failures += 1
            continue
        if rows:
            keep(RESULTS, pd.DataFrame(rows), keys=_KEYS)
        print(f"{name} {seed} {fit}: {len(rows)} scores, fit in {seconds:.1f} s", flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
