"""Runs in the environment of BM3D: ``_bm3d_worker.py IN.npz OUT.npz``."""

from __future__ import annotations

import sys

import numpy as np
from bm3d import bm3d


def main(source: str, target: str) -> None:
    data = np.load(source)
    count = sum(name.startswith("image") for name in data.files)
    results = {}
    for k in range(count):
        image, power = data[f"image{k}"].astype(np.float64), data[f"power{k}"]
        # BM3D expects values between about zero and one.
        low, spread = image.min(), image.max() - image.min()
        strength = float(power) / spread if power.ndim == 0 else power / spread**2
        results[f"image{k}"] = (bm3d((image - low) / spread, strength) * spread + low).astype(np.float32)
    np.savez(target, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
