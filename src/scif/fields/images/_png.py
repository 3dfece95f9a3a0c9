"""PNG: grey or RGB, 8 or 16 bits, in and out."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scif.fields.images._image_file import ImageFile
from scif.fields.images._tiff import without_alpha

__all__ = ["check_png", "read_png", "write_png"]

_GREY, _PALETTE = 0, 3
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_png(path: Path) -> ImageFile:
    """Read a PNG, which is whole in memory.

    Raises
    ------
    ValueError
        If it is cut short, or its pixels are indices into a table of colours.
    """
    head = path.read_bytes()[:26]
    if len(head) < 26 or head[:8] != _SIGNATURE:
        msg = f"{str(path)!r} is cut short or not a PNG; copy it again from where it was written."
        raise ValueError(msg)
    depth, colour = struct.unpack("BB", head[24:26])
    if colour == _PALETTE:
        msg = f"the pixels of {str(path)!r} are indices into a table of colours; convert it to grey or RGB."
        raise ValueError(msg)
    pixels = _deep(path) if depth == 16 and colour != _GREY else _plain(path)
    keep: dict[str, Any] = {}
    source: Any = pixels
    if pixels.ndim == 3:
        source = without_alpha(path, pixels, 2, keep)
    return ImageFile(path, source, "YX" if pixels.ndim == 2 else "YXC", {}, writes_tiff=False)


def check_png(path: Path, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise if an image cannot be written as a PNG."""
    grey = axes in ("YX", "YXC") and (len(shape) == 2 or shape[2] in (1, 3))
    if not grey or dtype not in (np.uint8, np.uint16):
        msg = (
            f"{str(path)!r}: a PNG holds one grey or RGB image of uint8 or uint16, and this one has axes {axes!r}, "
            f"shape {tuple(shape)} and dtype {dtype}; give a .tif as output, or dtype='uint16'."
        )
        raise ValueError(msg)
    if axes == "YXC" and dtype == np.uint16:
        _need_codecs(path)


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Write a grey or RGB image."""
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.ndim == 3 and pixels.dtype == np.uint16:
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
        return
    from PIL import Image

    Image.fromarray(pixels).save(path, format="PNG")


def _plain(path: Path) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    except (OSError, SyntaxError) as error:
        msg = f"{str(path)!r} is cut short or damaged ({error}); copy it again from where it was written."
        raise ValueError(msg) from None
    return pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels


def _deep(path: Path) -> NDArray[Any]:
    _need_codecs(path)
    import imagecodecs

    try:
        pixels: NDArray[Any] = imagecodecs.png_decode(path.read_bytes())
    except imagecodecs.PngError as error:
        msg = f"{str(path)!r} is cut short or damaged ({error}); copy it again from where it was written."
        raise ValueError(msg) from None
    return pixels


def _need_codecs(path: Path) -> None:
    if importlib.util.find_spec("imagecodecs") is None:
        msg = f"{str(path)!r} has colours of 16 bits, which needs imagecodecs: pip install 'scif-tools[images]'."
        raise ModuleNotFoundError(msg)
