"""Images: bad pixels, axes, files and settings, each refused by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from rows import Row, arguments, names, refused

from scif.core.noise import Gaussian, Jacobi, Poisson
from scif.fields.images import (
    ImageDenoiser,
    affine_psnr,
    calibrate,
    denoise_image,
    fourier_ring_correlation,
    known_noise,
    open_image,
    psnr,
    read_noise,
    ssim,
)

SMALL = {"widths": (4, 8), "num_steps": 2}
SHORT = {"max_steps": 2, "batch_size": 2, "patch": 16}


def noisy(folder: Path) -> np.ndarray:
    """Three images, sigma 10."""
    return (100 + 10 * np.random.default_rng(0).normal(size=(3, 32, 32))).astype(np.float32)


def spoilt(value: Any) -> Callable[[Path], np.ndarray]:
    def make(folder: Path) -> np.ndarray:
        images = noisy(folder).round()
        images[:, ::3, ::3] = value
        return images

    return make


def fit(images: Any, noise: Any = None, **options: Any) -> Any:
    given = {**SHORT, **{name: value for name, value in options.items() if name not in SMALL}}
    return ImageDenoiser(Gaussian(10.0) if noise is None else noise, **SMALL).fit(images, **given)


def new(**options: Any) -> Callable[[Any], Any]:
    return lambda _: ImageDenoiser(**{"noise": Gaussian(10.0), **options})


@cache
def fitted() -> ImageDenoiser:
    return fit(noisy(Path()))


def denoise(images: Any, **options: Any) -> Any:
    return fitted().denoise(images, **options)


def file(name: str, content: bytes | None = None, cut: int | None = None) -> Callable[[Path], Path]:
    """A TIFF of the three images, whole or cut, or other bytes."""

    def make(folder: Path) -> Path:
        path = folder / name
        if content is not None:
            path.write_bytes(content)
            return path
        tifffile.imwrite(path, noisy(folder), metadata={"axes": "TYX"})
        if cut is not None:
            path.write_bytes(path.read_bytes()[:cut])
        return path

    return make


NAN = float("nan")
ROWS = [
    # settings
    Row("noise of no kind", new(noise=None), TypeError, ("noise is None", "pass a channel")),
    Row("noise as a number", new(noise=3.0), TypeError, ("noise is 3.0", "channel")),
    Row("noise of an unknown name", new(noise="rice"), ValueError, ("noise is 'rice'", "gaussian")),
    Row("four spatial axes", new(ndim=4), ValueError, ("ndim is 4", "2, 3")),
    Row("unknown channels", new(channels="mixed"), ValueError, ("channels is 'mixed'", "together")),
    Row("unknown method", new(method="gan"), ValueError, ("method is 'gan'", "icm")),
    Row("no loss at all", new(anchor_weight=0, consistency_weight=0), ValueError, ("anchor_weight is 0", "positive")),
    Row("factor of three axes", new(factor=(2, 2, 2)), ValueError, ("factor is (2, 2, 2)", "2 spatial axes")),
    Row("no widths", new(widths=()), ValueError, ("widths is ()", "at least one")),
    Row("width as a word", new(widths="wide"), ValueError, ("widths", "whole number")),
    Row("width that is not whole", new(widths=(4.5, 8)), ValueError, ("widths is 4.5", "whole number")),
    *arguments(
        "ImageDenoiser",
        new,
        {
            "anchor_weight": [-1.0, NAN],
            "consistency_weight": [NAN],
            "num_steps": [0, -3, 2.5],
            "fraction": [0.0, 1.0, NAN],
            "blocks": [0, 1.5],
            "factor": [0, 1.5],
            "seed": [1.5, "one"],
        },
    ),
    # pixels
    Row("pixels that are NaN", fit, ValueError, ("NaN", "fix or crop"), spoilt(np.nan)),
    Row("pixels that are infinite", fit, ValueError, ("infinite", "fix or crop"), spoilt(np.inf)),
    Row("negative counts", partial(fit, noise=Poisson(1.0)), ValueError, ("images", "-3", "offset"), spoilt(-3)),
    Row("counts in halves", partial(fit, noise=Poisson(1.0)), ValueError, ("images", "0.5", "noise"), spoilt(0.5)),
    Row("shares above one", partial(fit, noise=Jacobi()), ValueError, ("images", "noise"), spoilt(2.5)),
    Row("one value", fit, ValueError, ("one value in all images",), lambda _: np.ones((2, 32, 32), np.float32)),
    Row("complex pixels", fit, TypeError, ("complex64", "floats or integers"), lambda f: noisy(f).astype("c8")),
    Row("truth values", fit, TypeError, ("bool", "floats or integers"), lambda f: noisy(f) > 100),
    Row("words", fit, TypeError, ("<U1", "floats or integers"), lambda f: np.full((32, 32), "a")),
    Row("a tensor", fit, TypeError, ("Tensor", "array"), lambda f: torch.from_numpy(noisy(f))),
    Row("lists of lists of numbers", fit, TypeError, ("float", "array"), lambda f: noisy(f)[0].tolist()[0]),
    Row("no image", fit, ValueError, ("images is empty", "at least one"), lambda _: []),
    Row("None", fit, TypeError, ("NoneType", "array"), lambda _: None),
    Row("no rows", fit, ValueError, ("(0, 32)", "empty"), lambda _: np.zeros((0, 32), np.float32)),
    Row("one line of pixels", fit, ValueError, ("1 axes", "axes="), lambda f: noisy(f)[0, 0]),
    Row("five axes without names", fit, ValueError, ("5 axes", "axes="), lambda f: noisy(f)[None, None]),
    Row("axes too short", partial(fit, axes="YX"), ValueError, ("axes is 'YX'", "one letter for each")),
    Row("axes twice", partial(fit, axes="YYX"), ValueError, ("axes is 'YYX'", "each once")),
    Row("axes without x", partial(fit, axes="TCY"), ValueError, ("axes is 'TCY'", "['X']")),
    Row("axes as a number", partial(fit, axes=3), TypeError, ("axes is 3", "letter")),
    Row(
        "images of different channels",
        partial(fit, axes="CYX"),
        ValueError,
        ("images have [2, 3] channels",),
        lambda f: [noisy(f), noisy(f)[:2] + 1],
    ),
    Row(
        "noise of another size",
        partial(fit, noise=Gaussian(torch.ones(5, 5))),
        ValueError,
        ("(5, 5)",),
    ),
    # files
    Row("absent file", fit, FileNotFoundError, ("absent.tif",), lambda f: f / "absent.tif"),
    Row("unknown format", fit, ValueError, ("a.doc", "format", ".tif"), file("a.doc", b"x")),
    Row("text named TIFF", fit, ValueError, ("a.tif", "not a TIFF", "copy it again"), file("a.tif", b"text")),
    Row("empty TIFF", fit, ValueError, ("a.tif", "copy it again"), file("a.tif", b"")),
    Row("TIFF cut short", fit, ValueError, ("a.tif", "cut short", "copy it again"), file("a.tif", cut=3000)),
    Row("TIFF cut by a byte", fit, ValueError, ("a.tif", "copy it again"), file("a.tif", cut=-1)),
    Row("PNG cut short", fit, ValueError, ("a.png",), file("a.png", b"\x89PNG\r\n\x1a\n")),
    Row("zarr of nothing", fit, ValueError, ("a.zarr",), lambda f: (f / "a.zarr").mkdir() or f / "a.zarr"),
    Row("absent series", lambda p: open_image(p, series=7), ValueError, ("series is 7",), file("a.tif")),
    Row("negative series", lambda p: open_image(p, series=-1), ValueError, ("series is -1",), file("a.tif")),
    # training
    *arguments(
        "fit",
        lambda **options: partial(fit, **options),
        {
            "max_steps": [0, -1, 2.5, True, NAN, "many"],
            "batch_size": [0, -3, 2.5, True],
            "patch": [0, 4, -16, 16.5],
            "lr": [0.0, -1e-3, NAN, "fast"],
            "ema_decay": [-0.1, 1.5, NAN],
            "devices": [0, -2, 99],
            "accelerator": ["tpu9"],
        },
    ),
    Row("an unknown option", partial(fit, step=3), TypeError, ("'step'", "max_steps")),
    # denoising
    Row("not fitted", lambda x: ImageDenoiser().denoise(x), RuntimeError, ("not been fitted", "fit(images)")),
    Row("NaN to denoise", denoise, ValueError, ("images", "nan"), spoilt(np.nan)),
    Row("another number of channels", partial(denoise, axes="CYX"), ValueError, ("3 channels", "1")),
    Row("unknown estimator", partial(denoise, estimator="median"), ValueError, ("estimator is 'median'",)),
    Row("estimator not trained for", partial(denoise, estimator="transport"), ValueError, ("estimator", "ifm")),
    Row("dtype of no numbers", partial(denoise, dtype="nonsense"), ValueError, ("dtype is 'nonsense'", "float32")),
    Row("dtype of words", partial(denoise, dtype="U8"), ValueError, ("dtype is 'U8'", "float32")),
    Row("complex dtype", partial(denoise, dtype="complex64"), ValueError, ("dtype is 'complex64'", "float32")),
    Row("out for an array", partial(denoise, out="a.tif"), ValueError, ("out is 'a.tif'", "files")),
    Row("out for two", partial(denoise, out=["a", "b"]), ValueError, ("out",), lambda f: [noisy(f)]),
    Row("tile below its overlap", partial(denoise, tile=32, overlap=64), ValueError, ("tile is 32", "overlap")),
    *arguments(
        "denoise",
        lambda **options: partial(denoise, **options),
        {"tile": [0, -64, 64.5], "overlap": [-1, 8.5], "batch_size": [0, -1, 1.5]},
    ),
    # reports, calibration, scores
    Row("channel that is not there", lambda x: fitted().report(x, channel=3), ValueError, ("channel is 3",)),
    Row("channel by name", lambda x: fitted().report(x, channel="red"), ValueError, ("channel is 'red'",)),
    Row("calibrate NaN", calibrate, ValueError, ("NaN",), spoilt(np.nan)),
    Row("calibrate a dot", calibrate, ValueError, ("pixels",), lambda _: np.ones((1, 1))),
    Row("calibrate an offset of NaN", partial(calibrate, offset=NAN), ValueError, ("offset is nan",)),
    Row("no noise told", lambda _: known_noise(), ValueError, ("sigma", "gain")),
    Row("two noises told", lambda _: known_noise(sigma=1.0, gain=2.0), ValueError, ("sigma", "gain")),
    Row("negative sigma", lambda _: known_noise(sigma=-1.0), ValueError, ("sigma is -1.0", "positive")),
    Row("gain of NaN", lambda _: known_noise(gain=NAN), ValueError, ("gain is nan", "positive")),
    Row("sigma as a word", lambda _: known_noise(sigma="big"), ValueError, ("sigma is 'big'", "positive")),  # type: ignore[arg-type]
    Row("noise file of another kind", read_noise, ValueError, ("a.json", "calibrate"), file("a.json", b"{}")),
    Row("noise file of bytes", read_noise, ValueError, ("a.json", "calibrate"), file("a.json", b"\xff\x00")),
    Row("score of two shapes", lambda x: psnr(x, x[:2]), ValueError, ("shape",)),
    Row("score with NaN", lambda x: psnr(noisy(Path()), x), ValueError, ("image", "NaN"), spoilt(np.nan)),
    Row("score of one value", lambda x: affine_psnr(0 * x, x), ValueError, ("data_range",)),
    Row("peak of zero", lambda x: psnr(x, x, data_range=0), ValueError, ("data_range is 0", "pass the peak")),
    Row("peak of NaN", lambda x: psnr(x, x, data_range=NAN), ValueError, ("data_range is nan", "pass the peak")),
    Row("ssim of a stamp", lambda x: ssim(x[0, :5, :5], x[0, :5, :5]), ValueError, ("7",)),
    Row("ring of two shapes", lambda x: fourier_ring_correlation(x[0], x[1, :8]), ValueError, ("shape",)),
    Row("image of no kind", lambda x: denoise_image("a.tif"), TypeError, ("image is 'a.tif'", "pass an array")),
]


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_is_refused(row: Row, tmp_path: Path) -> None:
    refused(row, noisy, tmp_path)
