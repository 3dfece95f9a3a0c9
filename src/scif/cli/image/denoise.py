"""``scif image denoise``: train on noisy images and write denoised ones."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scif.cli._files import check_apart, check_free
from scif.cli.image.common import FORMATS, add_common, check_positive, files_of, opened, say

if TYPE_CHECKING:
    from scif.core.noise import NoiseModel

__all__ = ["add_arguments", "run"]

_KNOWN = ("sigma", "gain", "offset", "read_noise")
_OF_TRAINING = (*_KNOWN, "widths", "fraction", "max_steps", "patch", "lr", "checkpoint")
"""Options without a default that say nothing to a trained model."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("images", nargs="+", type=Path, help=f"{FORMATS}; never modified")
    add_common(parser)
    out = parser.add_argument_group("results")
    out.add_argument("--out", type=Path, help="output folder (default: next to each image, with _denoised in the name)")
    out.add_argument("--overwrite", action="store_true", help="replace existing outputs and models")
    out.add_argument("--dtype", help="data type of the results, such as float32 (default: that of each image)")
    out.add_argument("--estimator", choices=["mean", "transport"], help="(default: what the model is trained for)")
    out.add_argument("--uncertainty", action="store_true", help="also write standard deviations of the results")
    out.add_argument("--tile", type=int, help="longest side of a tile")
    out.add_argument("--overlap", type=int, help="overlap of neighbouring tiles")
    noise = parser.add_argument_group("noise", "measured from the images unless given")
    noise.add_argument("--noise", default="auto", help="auto, a kind, or a file from `calibrate --out` (default: auto)")
    noise.add_argument("--sigma", type=float, help="standard deviation of Gaussian noise, in pixel values")
    noise.add_argument("--gain", type=float, help="pixel values per photoelectron")
    noise.add_argument("--offset", type=float, help="pixel value that the camera records in the dark, with --gain")
    noise.add_argument("--read-noise", type=float, help="standard deviation of the noise in the dark, with --gain")
    train = parser.add_argument_group("training")
    train.add_argument("--channels", choices=["together", "apart"], default="together", help="(default: together)")
    train.add_argument("--method", choices=["icm", "ifm"], default="icm", help="(default: icm)")
    train.add_argument("--widths", help="channels of the network at each level, such as 64,128,256 (default: 16,32)")
    train.add_argument(
        "--neighbour-frames",
        type=_frames,
        default="auto",
        metavar="N",
        help="frames before and after each one for the network; 0 if noise persists (default: auto, 2 for movies)",
    )
    train.add_argument(
        "--fraction", type=float, help="fraction of an image's information that training shows to the network"
    )
    train.add_argument("--max-steps", "--steps", type=int, dest="max_steps", help="maximum number of training steps")
    train.add_argument("--batch-size", type=int, default=8, help="crops per step (default: 8)")
    train.add_argument("--patch", type=int, help="side of a crop (default: 48, or 8 planes of 32 with --ndim 3)")
    train.add_argument("--lr", type=float, help="largest learning rate; larger networks need a smaller one")
    train.add_argument("--checkpoint", type=Path, help="folder for checkpoints; run the command again to resume")
    train.add_argument("--accelerator", default="auto", help="cpu, gpu, mps or auto (default: auto)")
    train.add_argument("--seed", type=int, default=0, help="(default: 0)")
    train.add_argument("--model", type=Path, help="apply this saved model instead of training one")
    train.add_argument("--save-model", type=Path, help="file to save the trained model in, .safetensors")


def run(arguments: Namespace) -> None:
    """Check everything, train, save, denoise image by image."""
    from scif.fields.images import ImageDenoiser, output_paths

    saved = arguments.save_model
    check_positive(arguments, "max_steps", "batch_size", "patch", "lr", "tile", "fraction")
    check_free(saved, overwrite=arguments.overwrite)
    _check_options(arguments)
    images = opened(arguments.images, arguments)
    options = {"axes": arguments.axes, "ndim": arguments.ndim, "dtype": _dtype(arguments.dtype)}
    with _folder(arguments.out):
        outs = output_paths(images, folder=arguments.out, overwrite=arguments.overwrite, **options)
        written = {"--save-model": saved} | {f"the result for {k}": path for k, path in enumerate(outs)}
        told = Path(arguments.noise) if arguments.noise.endswith(".json") else None
        check_apart(written, [*files_of(images), arguments.model, told])
        denoiser: Any = ImageDenoiser.load(arguments.model) if arguments.model is not None else _untrained(arguments)
        how = _how(denoiser, arguments)
    if arguments.model is None:
        _train(denoiser, images, arguments)
    if saved is not None:
        denoiser.save(saved, overwrite=arguments.overwrite)
    for number, (image, out) in enumerate(zip(images, outs, strict=True), start=1):
        written = denoiser.denoise(image, axes=arguments.axes, out=out, overwrite=arguments.overwrite, **how)
        count = f"{number} of {len(images)}: " if len(images) > 1 else ""
        for path in written if isinstance(written, tuple) else (written,):
            say(f"{count}Wrote {path} (estimator: {how['estimator'] or denoiser.estimator})")


def _check_options(arguments: Namespace) -> None:
    """Raise where options contradict one another or name what is there already."""
    given = [name for name in _OF_TRAINING if getattr(arguments, name) is not None]
    given += ["noise"] if arguments.noise != "auto" else []
    if arguments.model is not None and given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        msg = f"--model {arguments.model} is trained and has its noise; leave {names} out, or --model to train anew."
        raise ValueError(msg)
    for name in ("out", "checkpoint"):
        path = getattr(arguments, name)
        if path is not None and path.exists() and not path.is_dir():
            msg = f"--{name} is {path}, a file; give a folder."
            raise NotADirectoryError(msg)


@contextmanager
def _folder(path: Path | None) -> Iterator[None]:
    """A folder for results, which a refusal takes away again."""
    made = [] if path is None else [one for one in (path, *path.parents) if not one.exists()]
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for one in made:
            one.rmdir()
        raise


def _how(denoiser: Any, arguments: Namespace) -> dict[str, Any]:
    """How to denoise, refused before training if the network will not be able to."""
    denoiser.settings.by_flow(arguments.estimator)
    how = {"estimator": arguments.estimator, "dtype": _dtype(arguments.dtype), "tile": arguments.tile}
    how["overlap"] = arguments.overlap
    if arguments.overlap is not None and not 0 <= arguments.overlap < (arguments.tile or math.inf):
        msg = f"overlap is {arguments.overlap} and tile is {arguments.tile}; give 0 or more, and tiles longer than it."
        raise ValueError(msg)
    if arguments.uncertainty:
        if (arguments.estimator or denoiser.estimator) != "mean":
            msg = "--uncertainty needs the mean, but the estimator is transport."
            raise ValueError(msg)
        how["return_std"] = True
    return how


def _untrained(arguments: Namespace) -> Any:
    from scif.fields.images import ImageDenoiser

    options: dict[str, Any] = {"channels": arguments.channels, "method": arguments.method, "seed": arguments.seed}
    if arguments.widths is not None:
        options["widths"] = _widths(arguments.widths)
    if arguments.fraction is not None:
        options["fraction"] = arguments.fraction
    options["neighbour_frames"] = arguments.neighbour_frames
    return ImageDenoiser(_noise(arguments), ndim=arguments.ndim, **options)


def _train(denoiser: Any, images: list[Any], arguments: Namespace) -> None:
    from scif.cli.image.progress import Progress

    given = {"patch": arguments.patch, "max_steps": arguments.max_steps, "lr": arguments.lr}
    denoiser.fit(
        images,
        axes=arguments.axes,
        batch_size=arguments.batch_size,
        accelerator=arguments.accelerator,
        checkpoint_dir=arguments.checkpoint,
        callbacks=[Progress()],
        **{name: value for name, value in given.items() if value is not None},
    )


def _noise(arguments: Namespace) -> NoiseModel | str:
    """The noise that was told, or the kind that is to be measured."""
    from scif.fields.images import known_noise, read_noise

    if arguments.gain is None and (arguments.offset is not None or arguments.read_noise is not None):
        msg = (
            "--offset and --read-noise need --gain (and --sigma stands alone); `scif image calibrate --offset ... "
            "--out noise.json` measures the gain for --noise noise.json."
        )
        raise ValueError(msg)
    told = {name: getattr(arguments, name) for name in _KNOWN if getattr(arguments, name) is not None}
    if told and arguments.noise != "auto":
        names = ", ".join(f"--{name.replace('_', '-')}" for name in told)
        msg = f"--noise is {arguments.noise}, but {names} already sets the noise; give only one of them."
        raise ValueError(msg)
    if told:
        return known_noise(**told, ndim=arguments.ndim)
    if arguments.noise.endswith(".json"):
        return read_noise(arguments.noise, ndim=arguments.ndim)
    return str(arguments.noise)


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        msg = f"--widths is {text}; give whole numbers, such as 16,32."
        raise ValueError(msg) from None


def _frames(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _dtype(text: str | None) -> Any:
    import numpy as np

    if text is None:
        return None
    try:
        found = np.dtype(text)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "fui":
        msg = f"--dtype is {text}; give a type of floats or integers, such as uint16 or float32."
        raise ValueError(msg)
    return found
