"""``python -m benchmarks.counts.redesign --data DIR``: seconds and memory of the count model before and after.

Fits and denoises bladder in turns with the package of an earlier commit, in a worktree of its own, and with this one.
Each fit is a process of its own, so that its peak of resident memory is that of the fit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from benchmarks.report import markdown, replace_table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "method.md"
BEFORE = "f973b9b"
"""The last commit before the redesign."""
SCRIPT = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
sys.path.append(sys.argv[2])
from pathlib import Path
from benchmarks.counts.data import load
from scif.model import ICM
import anndata as ad
adata = ad.AnnData(load("mouse_bladder_cell_select_2100", Path(sys.argv[1])).counts.astype("f4"))
began = time.perf_counter()
ICM.setup_anndata(adata)
model = ICM(adata)
model.train(enable_progress_bar=False)
model.get_denoised()
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
"""


def _fit(source: Path, data: Path) -> dict[str, float]:
    words = [sys.executable, "-c", SCRIPT, str(data), str(source)]
    environment = os.environ | {"PYTHONPATH": str(source / "src")}
    said = subprocess.run(words, cwd=source, env=environment, check=True, text=True, capture_output=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main() -> None:
    """Measure in turns, then write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts.redesign", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(earlier), BEFORE], check=True)
        try:
            sources = {"before": earlier, "after": ROOT}
            rows = [
                {"version": name, **_fit(source, options.data)}
                for _ in range(options.repeats)
                for name, source in sources.items()
            ]
        finally:
            subprocess.run([*git, "remove", "--force", str(earlier)], check=True)
    least = pd.DataFrame(rows).groupby("version").min().loc[["before", "after"]]
    least.loc["ratio"] = least.loc["after"] / least.loc["before"]
    text = markdown(least.reset_index(), digits=(0, 1, 2))
    print(text)
    replace_table(PAGE, text, name="redesign")


if __name__ == "__main__":
    main()
