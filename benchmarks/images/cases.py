"""What is denoised: natural images under four kinds of noise, and real pairs of micrographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scif.core.noise import CorrelatedGaussian, Gaussian, Jacobi, NoiseModel, Poisson, PoissonGaussian
from scif.fields.images import calibrate_poisson_gaussian

__all__ = ["CASES", "Case", "Data", "load"]

Images = list[NDArray[np.float32]]
SIGMA = 25 / 255
CASES = ("gaussian", "correlated", "poisson", "jacobi", "w2s")


@dataclass(frozen=True)
class Case:
    """Images on the scale where white is one (natural) or one is a photon (micrographs), and their noise."""

    name: str
    noise: NoiseModel
    affine: bool = False
    """Whether truth and observation are scaled separately, so that scores align them first."""


@dataclass(frozen=True)
class Data:
    """Noisy images to train on, with the clean ones for the supervised reference alone, and pairs to test on."""

    case: Case
    train: Images
    train_clean: Images
    test: Images
    test_clean: Images


def noise_of(name: str) -> NoiseModel:
    """The noise of a case."""
    return {
        "gaussian": lambda: Gaussian(SIGMA),
        "correlated": lambda: CorrelatedGaussian.from_span(1.5, SIGMA),
        "poisson": lambda: Poisson(0.01),
        "jacobi": Jacobi,
        "w2s": lambda: PoissonGaussian(1.0, 0.1),
    }[name]()


@cache
def load(name: str, directory: Path, *, crops: int | None = None) -> Data:
    """The images of a case.

    Parameters
    ----------
    name
        One of ``CASES``.
    directory
        Folder with ``train400.npz``, ``bsd68.npz`` and ``w2s.npz``.
    crops
        Side of the central crops to test on, of all micrographs and every fifth natural image held out; all of them,
        whole, if not given.
    """
    case = Case(name, noise_of(name), affine=name == "w2s")
    if name == "w2s":
        data = np.load(directory / "w2s.npz")
        fields = np.array([str(field).split("_")[0] for field in data["name"]])
        held_out = np.isin(fields, sorted(set(fields))[-5:])
        noisy = np.stack([photons(image) for image in data["noisy"]])
        clean = data["clean"].astype(np.float32)
        test = [cut(image, crops) for image in noisy[held_out]]
        truth = [cut(image, crops) for image in clean[held_out]]
        return Data(case, list(noisy[~held_out]), list(clean[~held_out]), test, truth)
    clean = list(np.load(directory / "train400.npz")["clean"].astype(np.float32) / 255)
    natural = np.load(directory / "bsd68.npz")
    truth = [natural[key].astype(np.float32) / 255 for key in natural.files][:: 5 if crops else 1]
    truth = [cut(image, crops) for image in truth]
    return Data(case, observe(case.noise, clean, seed=1), clean, observe(case.noise, truth, seed=2), truth)


def photons(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A micrograph in photons: each was stored with a scale of its own, which its own noise tells."""
    camera = calibrate_poisson_gaussian(image)
    return ((image - camera.offset) / camera.gain).astype(np.float32)


def observe(noise: NoiseModel, images: Sequence[NDArray[np.float32]], *, seed: int) -> Images:
    """One noisy observation of each image, the same for every method."""
    rng = torch.Generator().manual_seed(seed)
    return [noise.sample(torch.from_numpy(image)[None, None], generator=rng)[0, 0].numpy() for image in images]


def cut(image: NDArray[np.float32], side: int | None) -> NDArray[np.float32]:
    """The central square of an image."""
    if side is None:
        return image
    top, left = ((n - side) // 2 for n in image.shape)
    return image[top : top + side, left : left + side]
