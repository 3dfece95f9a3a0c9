"""One fit in a process of its own: ``python -m benchmarks.counts.worker METHOD TRAIN.npz OUT.npy USAGE.json SEED``.

Imports nothing of scif itself, so that a method can run in another environment than ours.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods import METHODS
from benchmarks.counts.usage import measured


def main(name: str, train: str, out: str, usage: str, seed: str) -> None:
    """Fit, denoise, write the expected counts and what both steps took; importing and reading are not counted."""
    method = METHODS[name]
    fit = method.load()
    counts = sp.csr_matrix(sp.load_npz(train))
    load = os.getloadavg()[0]
    denoise, fit_usage = measured(lambda: fit(counts, seed=int(seed), **method.options))
    denoised, denoise_usage = measured(denoise)
    np.save(out, np.asarray(denoised, dtype=np.float32))
    report = {"fit": asdict(fit_usage), "denoise": asdict(denoise_usage), "load_average": load}
    Path(usage).write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
