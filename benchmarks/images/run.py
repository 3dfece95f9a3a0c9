"""Run what has not been run: one JSON file and one figure's worth of pixels per case, method and seed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.images.cases import Case, load
from benchmarks.images.methods import METHODS, Budget
from benchmarks.report import provenance
from numpy.typing import NDArray

from scif.fields.images import affine_psnr, fourier_ring_correlation, psnr, ssim

__all__ = ["FORMS", "read_results", "run"]

FORMS = {
    "cpu": (Budget(widths=(16, 32), blocks=2, steps=1000, batch_size=8, patch=48, lr=4e-3), 128),
    "gpu": (
        Budget(
            widths=(64, 128, 256),
            blocks=2,
            steps=3000,
            batch_size=64,
            patch=64,
            lr=1e-3,
            ema_decay=0.998,
            accelerator="gpu",
            precision="bf16-mixed",
        ),
        None,
    ),
}
"""Budget of every trained method, and side of the test crops (none: whole images, all of them)."""


def run(
    cases: Sequence[str],
    methods: Sequence[str],
    *,
    directory: Path,
    out: Path,
    form: str,
    seeds: Sequence[int],
    report: Callable[[str], Any],
) -> int:
    """Run each method on each case that has no result yet; returns the number of failures."""
    budget, crops = FORMS[form]
    failures = 0
    for name in cases:
        for seed in seeds:
            for method in methods:
                path = out / "results" / f"{name}-{method}-{seed}.json"
                if path.exists():
                    continue
                data = load(name, directory, crops=crops)
                load_average, start, worked = os.getloadavg()[0], time.perf_counter(), time.process_time()
                try:
                    images = METHODS[method].load()(data, budget, seed)
                except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                    failures += 1
                    report(f"{name} {method}: failed, {error}")
                    continue
                seconds, worked = time.perf_counter() - start, time.process_time() - worked
                scores = score(data.case, data.test_clean, images)
                result = {"case": name, "method": method, "seed": seed, "form": form, "seconds": seconds}
                result |= {"cpu_seconds": worked, "load_average": load_average, "scores": scores}
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path.with_suffix(".npy"), images[_SHOWN[name]].astype(np.float32))
                path.write_text(json.dumps(result | provenance(), indent=1))
                report(f"{name} {method} {seed}: PSNR {scores['psnr']:.2f} dB in {seconds:.0f} s")
    return failures


_SHOWN = {"gaussian": 2, "correlated": 2, "poisson": 2, "jacobi": 2, "w2s": 4}
"""The test image in the figure."""


def score(case: Case, truth: Sequence[NDArray], images: Sequence[NDArray]) -> dict[str, float]:
    """Metrics averaged over test images; micrographs are aligned to the truth first, whose range is the peak."""
    rows = []
    for clean, image in zip(truth, images, strict=True):
        if case.affine:
            slope, height = np.polyfit(image.ravel(), clean.ravel(), 1)
            peak, ratio = float(np.ptp(clean)), affine_psnr(clean, image)
            image = slope * image + height
        else:
            peak, ratio = 1.0, psnr(clean, image, data_range=1.0)
        ring = fourier_ring_correlation(clean, image).resolution(0.5)
        rows.append({"psnr": ratio, "ssim": ssim(clean, image, data_range=peak), "resolution": ring})
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def read_results(out: Path) -> list[dict[str, Any]]:
    """Every result there is."""
    return [json.loads(path.read_text()) for path in sorted((out / "results").glob("*.json"))]
