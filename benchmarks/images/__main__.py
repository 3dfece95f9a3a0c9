"""``python -m benchmarks.images --data DIR``: run what is missing, then write the table and the figure.

The CPU form trains a small network and tests on crops; ``--gpu`` trains a larger one and tests on everything.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.images.calibration import calibration_table
from benchmarks.images.cases import CASES
from benchmarks.images.methods import METHODS
from benchmarks.images.run import FORMS, read_results, run
from benchmarks.images.table import draw, write_tables
from benchmarks.report import replace_table
from matplotlib.figure import Figure


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of train400.npz, bsd68.npz and w2s.npz")
    parser.add_argument("--out", type=Path, help="a second run resumes there (default: build/benchmarks/images-cpu)")
    parser.add_argument("--gpu", action="store_true", help="the large form, on a GPU")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--readme", action="store_true", help="write the form's table into README.md and the figure beside it"
    )
    parser.add_argument("--report-only", action="store_true", help="only the table and figure of what has been run")
    options = parser.parse_args()
    form = "gpu" if options.gpu else "cpu"
    out = options.out or Path(f"build/benchmarks/images-{form}")
    out.mkdir(parents=True, exist_ok=True)
    failures = 0
    if not options.report_only:
        failures = run(
            options.cases,
            options.methods,
            directory=options.data,
            out=out,
            form=form,
            seeds=options.seeds,
            report=lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush(),
        )
    results = read_results(out)
    if results:
        table = write_tables(results, out)
        sys.stdout.write(table + "\n")
        figure = draw(results, out, directory=options.data, crops=FORMS[form][1])
        figure.savefig(out / "images.png", dpi=150)
        if options.readme:
            text = table if options.gpu else f"{table}\n\n{calibration_table(options.data)}"
            publish(text, figure, out / "runs.csv", suffix="-gpu" if options.gpu else "")
    return min(failures, 1)


def publish(text: str, figure: Figure, runs: Path, *, suffix: str) -> None:
    """Put a form's table, figure and rows beside this file."""
    here = Path(__file__)
    replace_table(here.with_name("README.md"), text, name=f"measured{suffix}")
    figure.savefig(here.with_name(f"images{suffix}.png"), dpi=100)
    shutil.copy(runs, here.with_name(f"results{suffix}.csv"))


if __name__ == "__main__":
    sys.exit(main())
