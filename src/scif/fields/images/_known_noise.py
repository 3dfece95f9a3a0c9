"""Noise that is known by numbers: told, or read from a calibration file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scif.core.noise import CorrelatedGaussian, Gaussian, NoiseModel, Poisson, PoissonGaussian
from scif.fields.images._inputs import open_images
from scif.fields.images.calibration import Calibration, PoissonGaussianCalibration

__all__ = ["calibrate_files", "known_noise", "read_noise", "write_noise"]

_SCHEMA = "scif image noise"
_VERSION = 1
_LEAST_READ_NOISE = 0.05
"""Read noise taken at least, in units of the gain: a density of counts needs some width."""

Values = float | Sequence[float]


def known_noise(
    *,
    sigma: Values | None = None,
    gain: Values | None = None,
    offset: Values | None = None,
    read_noise: Values | None = None,
    kernel: Any = None,
    ndim: int = 2,
) -> NoiseModel:
    """Create a noise channel from its parameters, each one number or one per channel of the images.

    Parameters
    ----------
    sigma
        Standard deviation of Gaussian noise, in pixel values.
    gain
        Pixel values per photoelectron.
    offset
        Pixel value that the camera records in the dark.
    read_noise
        Standard deviation of the noise in the dark, in pixel values.
    kernel
        Kernel of correlated Gaussian noise, with ``sigma``.
    ndim
        Spatial axes of the images.

    Raises
    ------
    ValueError
        If the parameters do not match one kind of noise, or are not positive.

    Examples
    --------
    >>> known_noise(gain=2.0, offset=100.0, read_noise=3.0)
    PoissonGaussian(...)
    """
    if (sigma is None) == (gain is None):
        msg = "give sigma (Gaussian noise) or gain (camera noise, with offset and read_noise), but not both."
        raise ValueError(msg)
    if sigma is not None:
        if offset is not None or read_noise is not None:
            msg = "offset and read_noise belong to camera noise: also give gain, and not sigma."
            raise ValueError(msg)
        strength = _column(sigma, ndim, name="sigma", positive=True)
        if kernel is None:
            return Gaussian(strength)
        return CorrelatedGaussian(torch.as_tensor(kernel, dtype=torch.float32), strength)
    assert gain is not None
    factor = _column(gain, ndim, name="gain", positive=True)
    if offset is None and read_noise is None:
        return Poisson(factor)
    dark = torch.maximum(_column(read_noise or 0.0, ndim, name="read_noise"), _LEAST_READ_NOISE * factor)
    return PoissonGaussian(factor, dark, offset=_column(offset or 0.0, ndim, name="offset", signed=True))


def _column(value: Values, ndim: int, *, name: str, positive: bool = False, signed: bool = False) -> Tensor:
    """Values as a tensor that broadcasts against ``(channels, *spatial)``."""
    try:
        tensor = torch.as_tensor(value, dtype=torch.float32)
    except (TypeError, ValueError):
        tensor = torch.tensor(torch.nan)
    if not bool(tensor.isfinite().all()) or bool(((tensor <= 0) if positive else (tensor < 0) & (not signed)).any()):
        msg = f"{name} is {value!r}; give a {'positive' if positive else 'finite'} number in pixel values."
        raise ValueError(msg)
    return tensor if tensor.ndim == 0 else tensor.reshape(-1, *[1] * ndim)


def calibrate_files(
    images: Any, *, axes: str | None = None, ndim: int = 2, repeats: bool = False, offset: float | None = None
) -> list[Calibration | PoissonGaussianCalibration]:
    """Measure the noise of every channel of images, which may be files.

    Parameters
    ----------
    images, axes, ndim
        Same as for :class:`~scif.fields.images.ImageDenoiser`.
    repeats
        Treat the images as repeated exposures of one static scene.
    offset
        Pixel value that the camera records in the dark, if known.
    """
    from scif.fields.images._channel import measure_noise
    from scif.fields.images._look import look
    from scif.fields.images.calibration import calibrate_poisson_gaussian
    from scif.fields.images.calibration.poisson_gaussian import check_offset

    check_offset(offset)
    stacks = [one.stack for one in open_images(images, axes=axes, ndim=ndim, once=True)]
    channels = range(stacks[0].channels)
    if repeats:
        return [calibrate_poisson_gaussian(look(stacks, c), repeats=True, offset=offset) for c in channels]
    return [measure_noise(stacks, c, offset=offset) for c in channels]


def write_noise(
    path: str | Path, found: Sequence[Calibration | PoissonGaussianCalibration], *, overwrite: bool = False
) -> None:
    """Write the result of a calibration to a JSON file for :func:`read_noise` and ``scif image denoise --noise``.

    Parameters
    ----------
    path
        File to write.
    found
        Calibrations, one per channel.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
        raise FileExistsError(msg)
    about = {"schema": _SCHEMA, "version": _VERSION, **_numbers(found)}
    part = path.with_name(f"unfinished_{path.name}")
    part.write_text(json.dumps(about, indent=1) + "\n")
    part.replace(path)


def read_noise(path: str | Path, *, ndim: int = 2) -> NoiseModel:
    """Read a noise channel from a calibration file.

    Parameters
    ----------
    path
        File written by :func:`write_noise`.
    ndim
        Spatial axes of the images.

    Raises
    ------
    ValueError
        If it is not a calibration file.
    """
    try:
        about = json.loads(Path(path).read_text())
        if about.pop("schema") != _SCHEMA or about.pop("version") != _VERSION:
            raise KeyError("schema")
        return known_noise(**about, ndim=ndim)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        msg = (
            f"{str(path)!r} is not a calibration file of this version of scif ({error}); `scif image calibrate "
            "--out` writes one."
        )
        raise ValueError(msg) from None


def _numbers(found: Sequence[Calibration | PoissonGaussianCalibration]) -> dict[str, Any]:
    """Arguments of :func:`known_noise`: the kind that most channels have, as ``noise="auto"`` takes it."""
    import numpy as np

    kinds = [one.kind if isinstance(one, Calibration) else "poisson_gaussian" for one in found]
    kind = max(kinds, key=kinds.count)
    if kind == "gaussian":
        return {"sigma": [float(one.gaussian.sigma) for one in found if isinstance(one, Calibration)]}
    parts = [one.correlated for one in found if isinstance(one, Calibration) and one.correlated is not None]
    if kind == "correlated_gaussian" and len(parts) == len(found):
        kernel = np.mean([part.kernel() for part in parts], axis=0)
        return {"sigma": [float(part.sigma) for part in parts], "kernel": kernel.tolist()}
    cameras = [one.poisson_gaussian if isinstance(one, Calibration) else one for one in found]
    if any(one is None or one.gain <= 0 for one in cameras):
        msg = "the variance of a channel does not grow with its brightness: no camera's noise can be written for it."
        raise ValueError(msg)
    names = ("gain",) if kind == "poisson" else ("gain", "offset", "read_noise")
    return {name: [float(getattr(one, name)) for one in cameras] for name in names}
