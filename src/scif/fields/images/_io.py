"""Image files by their format: opened without reading pixels where the format allows, written beside the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scif.fields.images._bioio import BIOIO, read_bioio
from scif.fields.images._image_file import ImageFile
from scif.fields.images._ngff import check_ngff, create_zarr, finish_ngff, read_zarr, stage_ngff
from scif.fields.images._png import check_png, read_png, write_png
from scif.fields.images._tiff import read_tiff
from scif.fields.images._tiff_writing import create_tiff

__all__ = [
    "ImageFile",
    "check_free",
    "check_writable",
    "create_like",
    "finish_like",
    "open_image",
    "path_beside",
    "path_of_std",
]

_TIFF = (".ome.tiff", ".ome.tif", ".tiff", ".tif")
_NGFF = (".ome.zarr",)
_ZARR = (*_NGFF, ".zarr")
_PNG = (".png",)
_KNOWN = (*_TIFF, *_ZARR, *_PNG, *BIOIO)


def open_image(path: str | Path, *, series: int | None = None) -> ImageFile:
    """Open an image file without reading its pixels (a PNG is read).

    Parameters
    ----------
    path
        TIFF, OME-TIFF, zarr, OME-Zarr or PNG; CZI, ND2 and LIF with ``pip install 'scif-tools[bioio]'``.
    series
        Number of the image in a file with several (positions, scenes). By default all of them, as an additional axis;
        if their shapes differ, you have to choose one.

    Returns
    -------
    An opened file, which every function for images accepts instead of a path.

    Raises
    ------
    ValueError
        If the format is unknown, if the file is truncated, or if some planes would be ignored.
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If the format needs a package that is not installed; the message names it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import tifffile
    >>> with TemporaryDirectory() as folder:
    ...     for k in range(3):
    ...         tifffile.imwrite(f"{folder}/a.tif", np.zeros((8, 9)), append=k > 0)
    ...     open_image(f"{folder}/a.tif").source.shape
    (3, 8, 9)
    """
    path = Path(path)
    if not path.exists():
        msg = f"there is no image {str(path)!r}."
        raise FileNotFoundError(msg)
    suffix = _suffix(path)
    if suffix in _TIFF:
        return read_tiff(path, series)
    if suffix in BIOIO:
        return read_bioio(path, series)
    if series not in (None, 0):
        msg = f"series is {series}, but {str(path)!r} holds one image."
        raise ValueError(msg)
    return read_png(path) if suffix in _PNG else read_zarr(path)


def path_beside(path: Path, *, tag: str = "denoised", series: int | None = None) -> Path:
    """Where the result for ``path`` goes: ``cells.ome.tif`` gives ``cells_denoised.ome.tif``.

    Formats that only microscopes write become OME-TIFF.

    Examples
    --------
    >>> path_beside(Path("cells.ome.tif")).name, path_beside(Path("cells.czi"), series=2).name
    ('cells_denoised.ome.tif', 'cells_series2_denoised.ome.tif')
    """
    suffix = _suffix(path)
    ending = ".ome.tif" if suffix in BIOIO else path.name[-len(suffix) :]
    which = "" if series is None else f"_series{series}"
    return path.with_name(f"{path.name[: -len(suffix)]}{which}_{tag}{ending}")


def path_of_std(path: Path) -> Path:
    """Where the standard deviations of a result go: beside it, with ``_std`` in the name.

    PNG holds no fractions, so that those of PNG are TIFF.

    Examples
    --------
    >>> path_of_std(Path("cells_denoised.ome.tif")).name
    'cells_denoised_std.ome.tif'
    """
    suffix = _suffix(path)
    ending = ".tif" if suffix in _PNG else path.name[-len(suffix) :]
    return path.with_name(f"{path.name[: -len(suffix)]}_std{ending}")


def check_free(original: ImageFile, path: Path, *, overwrite: bool) -> None:
    """Raise ``FileExistsError`` if a path is (a file of) the original, or exists and ``overwrite`` is false."""
    if path.resolve() in (original.path.resolve(), *original.members):
        msg = f"the output {str(path)!r} is the image itself; choose another path."
        raise FileExistsError(msg)
    if path.exists() and not overwrite:
        msg = f"the output {str(path)!r} exists; remove it, choose another path or pass overwrite=True."
        raise FileExistsError(msg)


def check_writable(original: ImageFile, path: Path, *, axes: str, dtype: np.dtype[Any]) -> None:
    """Raise if the format that a path names cannot be written, or cannot hold this image."""
    suffix = _suffix(path)
    if suffix in BIOIO:
        msg = f"{str(path)!r} cannot be written: {suffix} is a microscope's own format; give a .ome.tif as output."
        raise ValueError(msg)
    if suffix in _NGFF:
        check_ngff(path, axes)
    elif suffix in _PNG:
        check_png(path, axes, tuple(original.source.shape), dtype)


def create_like(original: ImageFile, path: str | Path, *, axes: str, dtype: np.dtype[Any], overwrite: bool) -> Any:
    """An empty writable array, of the shape and with the metadata of an opened image.

    The file is whole after :func:`finish_like`.

    Raises
    ------
    FileExistsError
        If ``path`` is the original, or exists and ``overwrite`` is false.
    """
    path = Path(path)
    check_free(original, path, overwrite=overwrite)
    check_writable(original, path, axes=axes, dtype=dtype)
    suffix = _suffix(path)
    if suffix in _TIFF:
        return create_tiff(original, path, axes, dtype)
    if suffix in _PNG:
        return np.zeros(original.source.shape, dtype=dtype)
    return create_zarr(original, stage_ngff(path) if suffix in _NGFF else path, axes, dtype)


def finish_like(original: ImageFile, path: Path, array: Any, *, axes: str) -> None:
    """Make a file whole whose pixels have all been written to ``array``, which is closed."""
    suffix = _suffix(path)
    if suffix in _PNG:
        write_png(path, array)
    elif suffix in _NGFF:
        finish_ngff(original, path, axes)
    for part in getattr(array, "parts", [array]):
        if isinstance(part, np.memmap):
            part.flush()
            part._mmap.close()  # type: ignore[attr-defined]  # open files cannot be renamed everywhere


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for suffix in _KNOWN:
        if name.endswith(suffix):
            return suffix
    msg = f"{str(path)!r} is not a known image format; give one of {', '.join(_KNOWN)}."
    raise ValueError(msg)
