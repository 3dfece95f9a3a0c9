"""BM3D, in an environment of its own (see ``make_bm3d_env.sh``), told the exact power spectrum of the noise."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from benchmarks.images.cases import Data, Images
from benchmarks.images.methods import Budget
from benchmarks.images.methods._stabilise import stabilise
from numpy.typing import NDArray

from scif.core.noise import CorrelatedGaussian

__all__ = ["bm3d"]

_WORKER = Path(__file__).with_name("_bm3d_worker.py")


def bm3d(data: Data, budget: Budget, seed: int) -> Images:
    t = stabilise(data)
    python = Path(os.environ.get("SCIF_BM3D_ENV", "/tmp/scif-bm3d-venv")) / "bin" / "python"
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "in.npz", Path(scratch) / "out.npz"
        arrays = {f"image{k}": t.forward(image) for k, image in enumerate(data.test)}
        powers = {f"power{k}": power(data, image.shape, t.sigma) for k, image in enumerate(data.test)}
        np.savez(source, **arrays, **powers)
        subprocess.run([python, "-P", _WORKER, source, target], check=True)
        result = np.load(target)
        return [t.backward(result[f"image{k}"]) for k in range(len(data.test))]


def power(data: Data, shape: tuple[int, ...], sigma: float) -> NDArray:
    """Power spectrum of the noise as BM3D wants it: ``|fft2(noise)|**2`` on average."""
    noise = data.case.noise
    if not isinstance(noise, CorrelatedGaussian):
        return np.asarray(sigma)
    spectrum = torch.fft.fft2(noise.kernel, s=shape).abs().square().numpy()
    return sigma**2 * spectrum * np.prod(shape)
