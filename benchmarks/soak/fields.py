"""Random valid calls on images and flows, and what must hold of their results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from scif.core.noise import Gaussian
from scif.fields.fluids import FluidInverter, laminar
from scif.fields.images import ImageDenoiser

__all__ = ["fluids_round", "images_round"]


def images_round(rng: np.random.Generator, folder: Path, done: dict[str, int]) -> None:
    """Train on images of some shape and type, denoise them, and load what was saved."""
    shape = (int(rng.integers(1, 4)), int(rng.integers(32, 90)), int(rng.integers(32, 90)))
    scene = 100 + 50 * np.sin(np.arange(shape[2]) / rng.uniform(3, 9)) * np.ones(shape)
    kind = str(rng.choice(["uint8", "uint16", "float32", "float64"]))
    noisy = rng.normal(scene, 10).clip(0, 255).astype(kind)
    noise = (Gaussian(10.0), "gaussian", "auto")[int(rng.integers(3))]
    denoiser = ImageDenoiser(noise=noise, widths=(4, 8), seed=int(rng.integers(9)))
    kept = noisy.copy()
    denoiser.fit(noisy, max_steps=int(rng.integers(1, 6)), batch_size=2, patch=16)
    found = np.asarray(denoiser.denoise(noisy))
    assert found.shape == noisy.shape
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(noisy, kept)
    np.testing.assert_array_equal(np.asarray(denoiser.denoise(noisy)), found)
    denoiser.save(folder / "images.safetensors", overwrite=True)
    again = ImageDenoiser.load(folder / "images.safetensors").denoise(noisy)
    np.testing.assert_array_equal(np.asarray(again), found)
    done["images"] = done.get("images", 0) + 1


def fluids_round(rng: np.random.Generator, folder: Path, done: dict[str, int]) -> None:
    """Train on fields of one size, invert those of another, and load what was saved."""
    case = laminar(viscosity=float(rng.uniform(0.1, 0.2)), duration=0.25, cutoff=3)
    generator = torch.Generator().manual_seed(int(rng.integers(1000)))
    final = case.draw(int(rng.integers(2, 9)), 16, generator=generator).final
    inverter = FluidInverter(case.channel, width=6, modes=4, depth=1, seed=int(rng.integers(9)))
    inverter.fit(final, max_steps=int(rng.integers(1, 5)), batch_size=2)
    fresh = case.draw(2, int(rng.choice([16, 24])), generator=generator).final
    found = inverter.invert(fresh)
    assert found.shape == fresh.shape
    assert bool(torch.isfinite(torch.as_tensor(found)).all())
    inverter.save(folder / "fluid.safetensors", overwrite=True)
    again = FluidInverter.load(folder / "fluid.safetensors").invert(fresh)
    assert torch.equal(torch.as_tensor(again), torch.as_tensor(found))
    done["fluids"] = done.get("fluids", 0) + 1
