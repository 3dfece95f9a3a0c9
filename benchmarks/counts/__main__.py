"""``python -m benchmarks.counts --data DIR --out DIR``: run what is missing, then write the table and the figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.counts.data import available
from benchmarks.counts.figures import draw
from benchmarks.counts.methods import METHODS
from benchmarks.counts.run import adopt, read_results, run
from benchmarks.counts.table import overview, write_tables
from benchmarks.counts.task import KINDS
from benchmarks.report import replace_table


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__)
    parser.add_argument("--data", type=Path, help="directory of .h5ad, .h5 (X, Y) and .count.csv.gz files")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="a second run resumes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the split and of the method")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="METHOD")
    parser.add_argument("--datasets", nargs="+", help="names; default: all of --data, pbmc68k and the simulated ones")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--again", action="store_true", help="run even what has a result, as after a method changed")
    parser.add_argument("--known", type=Path, help="a runs.csv whose rows count as results, as of peers run before")
    parser.add_argument("--report-only", action="store_true", help="only the tables and figures of what has been run")
    parser.add_argument("--readme", type=Path, help="also put a table between this file's markers")
    parser.add_argument("--score", nargs="+", default=["gain"], help="what that table has: columns of runs.csv")
    parser.add_argument("--of", choices=KINDS, default="held-out", help="kind of task that it is of")
    parser.add_argument("--digits", type=int, default=2, help="after the point in that table")
    parser.add_argument("--marker", default="measured", help="name in these markers")
    options = parser.parse_args()
    if options.known:
        adopt(options.known, options.out)
    failures = 0
    if not options.report_only:
        failures = run(
            options.datasets or list(available(options.data)),
            options.methods,
            directory=options.data,
            out=options.out,
            seeds=options.seeds,
            kinds=options.kinds,
            again=options.again,
            report=lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush(),
        )
    results = read_results(options.out)
    if results:
        write_tables(results, options.out)
        draw(results, options.out)
        if options.readme:
            chosen = [row for row in results if row["dataset"] in (options.datasets or [row["dataset"]])]
            table = overview(chosen, scores=options.score, kind=options.of, digits=options.digits)
            replace_table(options.readme, table, name=options.marker)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
