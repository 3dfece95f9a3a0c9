"""How long one picture of 512 x 512 pixels takes with every default: wall clock, processor, steps.

``python -m benchmarks.images.minutes --data DIR --readme`` measures and writes the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.report import markdown, replace_table, with_provenance

from scif.fields.images import ImageDenoiser, affine_psnr
from scif.fields.images._axes import Axes, ImageStack
from scif.fields.images._train import CHECKS
from scif.fields.images._training import default_steps

__all__ = ["measure"]

FILE = Path(__file__).with_name("minutes.csv")
_EXPOSURE = 51
"""A micrograph of one exposure."""


def measure(directory: Path) -> dict[str, Any]:
    """Fit and denoise one exposure of a micrograph."""
    w2s = np.load(directory / "w2s.npz")
    noisy, clean = w2s["noisy"][_EXPOSURE], w2s["clean"][_EXPOSURE]
    load = os.getloadavg()[0]
    start, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        denoiser = ImageDenoiser().fit(noisy)
    fitted, fitted_cpu = time.perf_counter(), time.process_time()
    image = denoiser.denoise(noisy, dtype="float32")
    end, end_cpu = time.perf_counter(), time.process_time()
    most = default_steps([ImageStack(noisy, Axes("YX"))])
    risks = denoiser.history_[0]["validation_anchor"]
    return {
        "picture": f"{w2s['name'][_EXPOSURE]}, 512 x 512",
        "threads": torch.get_num_threads(),
        "load": (load + os.getloadavg()[0]) / 2,
        "fit_wall": (fitted - start) / 60,
        "fit_cpu": (fitted_cpu - cpu) / 60,
        "denoise_wall": (end - fitted) / 60,
        "denoise_cpu": (end_cpu - fitted_cpu) / 60,
        "steps": len(risks) * (most // CHECKS),
        "most": most,
        "best_step": (int(np.argmin(risks)) + 1) * (most // CHECKS),
        "noisy": affine_psnr(clean, noisy, data_range=255.0),
        "psnr": affine_psnr(clean, image, data_range=255.0),
    }


def table(rows: pd.DataFrame) -> str:
    """A line a run."""
    steps = [f"{row.steps} of {row.most}, best {row.best_step}" for row in rows.itertuples()]
    shown = pd.DataFrame(
        {
            "picture": rows["picture"],
            "threads": rows["threads"].astype(str),
            "load average": rows["load"],
            "fit, minutes": rows["fit_wall"],
            "fit, processor minutes": rows["fit_cpu"],
            "denoise, minutes": rows["denoise_wall"],
            "denoise, processor minutes": rows["denoise_cpu"],
            "steps": steps,
            "PSNR, noisy": rows["noisy"],
            "denoised": rows["psnr"],
        }
    )
    return markdown(shown, digits=[0, 0, 1, 1, 1, 2, 2, 0, 2, 2])


def main() -> None:
    """Parse, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images.minutes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of w2s.npz")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    parser.add_argument("--no-run", action="store_true", help="show the rows that there are")
    options = parser.parse_args()
    if not options.no_run:
        row = with_provenance(pd.DataFrame([measure(options.data)]))
        rows = pd.concat([pd.read_csv(FILE), row]) if FILE.exists() else row
        rows.to_csv(FILE, index=False, float_format="%.5g")
    rows = pd.read_csv(FILE)
    text = table(rows)
    commits, dates = (", ".join(sorted(set(rows[name].astype(str)))) for name in ("commit", "date"))
    text += f"\n\nCommit {commits}; {dates}; {rows['machine'].iloc[-1]}."
    sys.stdout.write(text + "\n")
    if options.readme:
        replace_table(Path(__file__).with_name("README.md"), text, name="minutes")


if __name__ == "__main__":
    main()
