"""``scif image``: denoise image files, measure their noise, score results."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

__all__ = ["add_arguments", "run"]

METRICS = ("psnr", "affine_psnr", "ssim", "resolution")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True, help="what to do")
    _denoise_arguments(actions.add_parser("denoise", help="train on noisy images and write denoised ones beside them"))
    _calibrate_arguments(actions.add_parser("calibrate", help="measure kind and parameters of the noise"))
    _evaluate_arguments(actions.add_parser("evaluate", help="score images against the truth"))


def run(arguments: Namespace) -> None:
    """Do what was asked for."""
    {"denoise": _denoise, "calibrate": _calibrate, "evaluate": _evaluate}[arguments.action](arguments)


def _common(parser: ArgumentParser) -> None:
    parser.add_argument("--axes", help="letters of the axes, such as TCZYX (default: those in the file)")
    parser.add_argument("--ndim", type=int, choices=[2, 3], default=2, help="spatial axes (default: 2)")


def _denoise_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, help="TIFF, OME-TIFF, zarr or OME-zarr; never written to")
    _common(parser)
    parser.add_argument("--out", type=Path, help="folder to write to (default: beside each image, with _denoised)")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs and a model that exist already")
    parser.add_argument("--noise", default="auto", help="auto, or a kind to be measured (default: auto)")
    parser.add_argument("--channels", choices=["together", "apart"], default="together", help="(default: together)")
    parser.add_argument("--method", choices=["icm", "ifm"], default="icm", help="(default: icm)")
    parser.add_argument("--max-steps", type=int, help="training steps at most (default: by the size of the images)")
    parser.add_argument("--batch-size", type=int, default=8, help="crops in a step (default: 8)")
    parser.add_argument("--patch", type=int, help="side of a crop (default: 48, or 8 planes of 32 with --ndim 3)")
    parser.add_argument("--accelerator", default="auto", help="cpu, gpu, mps or auto (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--model", type=Path, help="apply this saved model instead of training one")
    parser.add_argument("--save-model", type=Path, help="file to save the trained model in, .safetensors")


def _calibrate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, help="TIFF, OME-TIFF, zarr or OME-zarr")
    _common(parser)
    parser.add_argument("--repeats", action="store_true", help="the images are exposures of one unmoving scene")
    parser.add_argument("--offset", type=float, help="what the camera reports in the dark, if known")
    parser.add_argument("--plot", type=Path, help="file for the plots, .png or .pdf")


def _evaluate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("truth", type=Path, help="clean image")
    parser.add_argument("images", nargs="+", type=Path, help="images to score, of the same shape")
    _common(parser)
    parser.add_argument("--data-range", type=float, help="the peak, such as 255 (default: the range of the truth)")


def _denoise(arguments: Namespace) -> None:
    from scif.fields.images import ImageDenoiser
    from scif.fields.images._io import path_beside

    images, saved = list(arguments.images), arguments.save_model
    outs = [path_beside(path) if arguments.out is None else arguments.out / path.name for path in images]
    for path in [*outs, *([] if saved is None else [saved])]:  # before any work is done
        if path.exists() and not arguments.overwrite:
            msg = f"{path} exists already; move it, choose another name or pass --overwrite."
            raise FileExistsError(msg)
    if arguments.model is not None:
        denoiser = ImageDenoiser.load(arguments.model)
    else:
        denoiser = ImageDenoiser(
            arguments.noise,
            ndim=arguments.ndim,
            channels=arguments.channels,
            method=arguments.method,
            seed=arguments.seed,
        ).fit(
            images,
            axes=arguments.axes,
            max_steps=arguments.max_steps,
            batch_size=arguments.batch_size,
            patch=arguments.patch,
            accelerator=arguments.accelerator,
            progress=True,
        )
    if saved is not None:
        denoiser.save(saved, overwrite=arguments.overwrite)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
    for path in denoiser.denoise(images, axes=arguments.axes, out=outs, overwrite=arguments.overwrite):
        _say(f"Wrote {path} (estimator: {denoiser.estimator})")


def _calibrate(arguments: Namespace) -> None:
    from scif.fields.images import calibrate, calibrate_poisson_gaussian
    from scif.fields.images._channel import look
    from scif.fields.images._inputs import open_images

    stacks = [one.stack for one in open_images(list(arguments.images), axes=arguments.axes, ndim=arguments.ndim)]
    for channel in range(stacks[0].channels):
        planes = look(stacks, channel)
        if arguments.repeats:
            found: Any = calibrate_poisson_gaussian(planes, repeats=True, offset=arguments.offset)
        else:
            found = calibrate(planes, offset=arguments.offset)
        _say(f"channel {channel}: {found}" if stacks[0].channels > 1 else str(found))
        if arguments.plot is not None:
            drawn = found.plot()
            path = arguments.plot
            if stacks[0].channels > 1:
                path = path.with_stem(f"{path.stem}_{channel}")
            getattr(drawn, "figure", drawn).savefig(path, dpi=150)
            _say(f"Wrote {path}")


def _evaluate(arguments: Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", *METRICS, caption="PSNR in decibels; resolution in pixels, by Fourier ring correlation")
    for path in arguments.images:
        scores = _scores(arguments, path)
        table.add_row(path.name, *(f"{scores[name]:.4g}" for name in METRICS))
    Console().print(table)


def _scores(arguments: Namespace, path: Path) -> dict[str, float]:
    """Every metric, averaged over the images and channels of a file."""
    import numpy as np

    from scif.fields.images import affine_psnr, fourier_ring_correlation, psnr, ssim
    from scif.fields.images._inputs import open_images

    truth, image = (
        open_images(one, axes=arguments.axes, ndim=arguments.ndim)[0].stack for one in (arguments.truth, path)
    )
    shapes = [(len(one), one.channels, *one.spatial) for one in (truth, image)]
    if shapes[0] != shapes[1]:
        msg = f"{path} holds {shapes[1]} images, channels and pixels, but {arguments.truth} {shapes[0]}."
        raise ValueError(msg)
    peak = arguments.data_range
    if peak is None:
        peak = float(max(truth.read(k).max() for k in range(len(truth))))
        peak -= float(min(truth.read(k).min() for k in range(len(truth))))
    rows = []
    for k in range(len(truth)):
        for a, b in zip(truth.read(k), image.read(k), strict=True):
            resolution = fourier_ring_correlation(a, b).resolution()
            rows.append(
                [
                    psnr(a, b, data_range=peak),
                    affine_psnr(a, b, data_range=peak),
                    ssim(a, b, data_range=peak),
                    resolution,
                ]
            )
    return dict(zip(METRICS, np.mean(rows, axis=0).tolist(), strict=True))


def _say(text: str) -> None:
    from rich.console import Console

    Console().print(text, markup=False, highlight=False, soft_wrap=True)
