"""Fields with named dimensions, coordinates and units, in and out; NetCDF and HDF5 through xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["is_labelled", "read_fields", "to_labelled", "to_tensor", "write_fields"]

TOLERANCE = 1e-3
"""Relative deviation of a spacing or a side length that still counts as equal: files often hold single precision."""


def is_labelled(value: Any) -> bool:
    """Whether a value is of xarray, which is not imported for it."""
    return type(value).__module__.partition(".")[0] == "xarray"


def to_tensor(fields: Any, *, length: float | tuple[float, float] | None = None) -> Tensor:
    """Values ``(..., height, width)`` of fields with the dimensions ``y`` and ``x``.

    Parameters
    ----------
    fields
        A ``DataArray``, or a ``Dataset`` with the variable ``vorticity``, or ``u`` and ``v``, which become
        ``(..., 2, height, width)``. All dimensions but ``y`` and ``x`` (and ``component``) count samples.
    length
        Side of the domain, or its sides along ``y`` and ``x``; coordinates have to agree with it.

    Raises
    ------
    ValueError
        If dimensions are missing, or points are not evenly spaced or of another domain.
    """
    array = _array(fields)
    if "y" not in array.dims or "x" not in array.dims:
        msg = f"the dimensions are {tuple(array.dims)}; rename those of space to 'y' and 'x'."
        raise ValueError(msg)
    sides = length if isinstance(length, tuple) else (length, length)
    for dim, side in zip(("y", "x"), sides, strict=True):
        _check_spacing(array, dim, side)
    inner = [name for name in ("component", "y", "x") if name in array.dims]
    outer = [name for name in array.dims if name not in inner]
    values = np.asarray(array.transpose(*outer, *inner).values)
    shape = values.shape[len(outer) :]
    return torch.as_tensor(np.ascontiguousarray(values).reshape(-1, *shape) if outer else values)


def to_labelled(fields: Tensor, like: Any, *, name: str = "vorticity") -> Any:
    """Fields ``(n, height, width)`` with the dimensions, coordinates and units of those that they come from.

    Parameters
    ----------
    fields
        The fields.
    like
        What :func:`to_tensor` read.
    name
        Name of the result.
    """
    import xarray as xr

    array = _array(like)
    components = ("component",) if fields.ndim == 4 else ()
    outer = [dim for dim in array.dims if dim not in ("component", "y", "x")]
    dims = (*outer, *components, "y", "x")
    shape = [array.sizes[dim] for dim in outer] + list(fields.shape[1:])
    refined = {"y": fields.shape[-2], "x": fields.shape[-1]}
    coords: dict[str, Any] = {}
    for key, coordinate in array.coords.items():
        if key in refined and len(coordinate) != refined[key]:
            coords[key] = (key, _refined(coordinate.values, refined[key]), coordinate.attrs)
        elif set(coordinate.dims) <= {*outer, *(d for d in ("y", "x") if array.sizes[d] == refined[d])}:
            coords[key] = coordinate
    same = not isinstance(like, xr.Dataset) or "vorticity" in like
    attrs = dict(array.attrs) if same else {}
    if "units" not in attrs and "units" in array.attrs and array.attrs["units"] in ("m s-1", "m/s"):
        attrs["units"] = "s-1"
    return xr.DataArray(fields.numpy().reshape(shape), dims=dims, coords=coords, name=name, attrs=attrs)


def read_fields(path: str | Path, *, variable: str | None = None) -> Any:
    """Read fields from a NetCDF or HDF5 file into an xarray object in memory.

    Parameters
    ----------
    path
        The file.
    variable
        Name of the variable; default ``vorticity``, or ``u`` and ``v``, or the only one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, has another format, or has no such variable.
    """
    import xarray as xr

    if not Path(path).is_file():
        msg = f"there is no file {str(path)!r}."
        raise FileNotFoundError(msg)
    try:
        with xr.open_dataset(path, engine="h5netcdf", phony_dims="sort") as file:
            data = file.load()
    except (OSError, ValueError, KeyError) as error:
        msg = f"{str(path)!r} is damaged or not a NetCDF 4 or HDF5 file ({error}); copy or write it again."
        raise ValueError(msg) from None
    if variable is not None:
        if variable not in data:
            msg = f"{path} has no variable {variable!r}; it has {', '.join(map(str, data.data_vars)) or 'none'}."
            raise ValueError(msg)
        return data[variable]
    return data


def write_fields(fields: Any, path: str | Path, *, overwrite: bool = False) -> None:
    """Write an xarray object as NetCDF 4 (HDF5). The file is complete or absent.

    Parameters
    ----------
    fields
        A ``DataArray`` or ``Dataset``.
    path
        The file.
    overwrite
        Replace an existing file.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
        raise FileExistsError(msg)
    part = path.with_name(f"{path.name}.part")
    try:
        fields.to_netcdf(part, engine="h5netcdf")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _array(fields: Any) -> Any:
    """The one array of fields in an xarray object."""
    import xarray as xr

    if isinstance(fields, xr.DataArray):
        return fields
    if "vorticity" in fields:
        return fields["vorticity"]
    if "u" in fields and "v" in fields:
        return xr.concat([fields["u"], fields["v"]], dim="component", coords="minimal", compat="override")
    names = list(fields.data_vars)
    if len(names) == 1:
        return fields[names[0]]
    msg = f"the data set has the variables {', '.join(map(str, names))}; pass one array, or vorticity, or u and v."
    raise ValueError(msg)


def _check_spacing(array: Any, dim: str, side: float | None) -> None:
    if dim not in array.coords or array.sizes[dim] < 2:
        return
    points = np.asarray(array[dim].values, dtype=float)
    steps = np.diff(points)
    step = float(steps.mean())
    if step <= 0 or np.abs(steps - step).max() > TOLERANCE * abs(step):
        msg = f"coordinate {dim!r} runs from {points[0]:g} to {points[-1]:g} unevenly or downwards; sort and regrid it."
        raise ValueError(msg)
    if side is not None and abs(step * len(points) - side) > TOLERANCE * side:
        msg = (
            f"coordinate {dim!r} spans a period of {step * len(points):g}, but the flow's domain {side:g}; "
            "give the solver this length, in the coordinate's unit."
        )
        raise ValueError(msg)


def _refined(points: np.ndarray, size: int) -> np.ndarray:
    """Coordinates of ``size`` points in the cells of fewer."""
    step = (points[1] - points[0]) * len(points) / size
    return points[0] - (points[1] - points[0] - step) / 2 + step * np.arange(size)
