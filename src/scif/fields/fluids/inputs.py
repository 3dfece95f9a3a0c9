"""Observations as users have them: tensors, arrays or xarray objects, checked and brought into one form."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scif.core.noise import NoiseModel
from scif.fields.fluids.boundary import broken_axes, window
from scif.fields.fluids.chain import chain, flow_of
from scif.fields.fluids.grid import check_field
from scif.fields.fluids.labelled import is_labelled, to_labelled, to_tensor
from scif.fields.fluids.observe import Gaps, Observation, Velocities

__all__ = ["Boundary", "as_observations", "as_simulated", "as_states", "check_choice", "like_observations"]

Boundary = Literal["refuse", "window"]


def as_observations(observed: Any, channel: NoiseModel, boundary: Boundary, *, state_ndim: int | None = None) -> Tensor:
    """Observations ``(n, ...)`` of a channel in single precision.

    Points that are NaN are gaps where the channel has gaps that differ from sample to sample, and refused elsewhere.
    """
    flow = flow_of(channel)
    if is_labelled(observed):
        tensor = to_tensor(observed, length=None if flow is None else flow.solver.length)
    else:
        tensor = _tensor(observed)
    if tensor.is_complex() or not (tensor.is_floating_point() or tensor.dtype in (torch.int32, torch.int64)):
        msg = f"fields have dtype {tensor.dtype}; pass real numbers, float32 or float64."
        raise TypeError(msg)
    tensor = tensor.detach().to(torch.float32)
    wanted = _ndim(channel, tensor, state_ndim)
    tensor = _with_masks(tensor, channel)
    if tensor.ndim == wanted - 1:
        tensor = tensor[None]
    if tensor.ndim != wanted:
        axes = "(n, height, width)" if wanted == 3 else "(n, channels, height, width)"
        msg = f"fields have shape {tuple(tensor.shape)}; pass {_kind(channel)} as {axes}" + (
            " without an axis for channels (scif.fields.fluids.vorticity makes it of velocities)."
            if wanted == 3
            else "."
        )
        raise ValueError(msg)
    if len(tensor) == 0:
        msg = "final has 0 fields; pass many to train on, and at least one to invert."
        raise ValueError(msg)
    check_field(tensor, name="fields")
    return tensor if flow is None or _has_masks(channel) else _periodic(tensor, boundary)


def _tensor(observed: Any) -> Tensor:
    try:
        if isinstance(observed, np.ndarray) and observed.dtype.kind not in "fiubc":
            raise TypeError
        return torch.as_tensor(observed)
    except (TypeError, ValueError, RuntimeError):
        kind = observed.dtype if isinstance(observed, np.ndarray) else type(observed).__name__
        msg = f"fields are {kind}; pass real numbers as a tensor, an array or an xarray object."
        raise TypeError(msg) from None


def like_observations(fields: Tensor, observed: Any, *, name: str = "vorticity") -> Any:
    """Fields as what was passed in: a tensor, an array or an xarray object, of the same type and leading axes."""
    if is_labelled(observed):
        return to_labelled(fields, observed, name=name)
    tensor = isinstance(observed, Tensor)
    single = fields.shape[0] == 1 and (observed.ndim == 2 or observed.shape[0] != 1)
    result = fields[0] if single else fields
    if tensor:
        return result.to(observed.dtype) if observed.is_floating_point() else result
    return result.numpy().astype(observed.dtype if observed.dtype.kind == "f" else np.float32)


def _ndim(channel: NoiseModel, tensor: Tensor, state_ndim: int | None) -> int:
    """Axes of a batch of observations."""
    parts = chain(channel)
    if any(isinstance(part, Velocities | Gaps) for part in parts):
        return 4
    if flow_of(channel) is not None:
        return 3
    return state_ndim or (4 if tensor.ndim == 4 else 3)


def _kind(channel: NoiseModel) -> str:
    parts = chain(channel)
    if any(isinstance(part, Velocities) for part in parts):
        return "velocities (u, v)"
    if any(isinstance(part, Gaps) for part in parts):
        return "values, NaN in gaps,"
    return "vorticity" if flow_of(channel) is not None else "fields"


def _has_masks(channel: NoiseModel) -> bool:
    return any(type(part).where is not Observation.where for part in chain(channel) if isinstance(part, Observation))


def _with_masks(tensor: Tensor, channel: NoiseModel) -> Tensor:
    """Values with NaN in gaps, as values and a mask."""
    if not isinstance(chain(channel)[-1], Gaps):
        return tensor
    values = 2 if any(isinstance(part, Velocities) for part in chain(channel)) else 1
    if values == 1 and tensor.ndim == 2:
        tensor = tensor[None, None]
    elif values == 1 and tensor.ndim == 3 and (tensor.shape[0] != 2 or not _is_mask(tensor[1])):
        tensor = tensor[:, None]
    if tensor.shape[-3] != values:
        return tensor
    known = torch.isfinite(tensor).all(-3, keepdim=True)
    return torch.cat([torch.where(known, tensor, 0), known.to(tensor.dtype)], -3)


def _is_mask(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _periodic(tensor: Tensor, boundary: Boundary) -> Tensor:
    """Fields that continue periodically, or an error."""
    broken = broken_axes(tensor)
    if not broken:
        return tensor
    where = " and ".join(broken)
    if boundary == "refuse":
        msg = (
            f"fields do not continue periodically along {where}, but the flow does; pass boundary='window' to taper "
            "them towards the sides, or a channel whose solver has the right walls."
        )
        raise ValueError(msg)
    warnings.warn(
        f"fields do not continue periodically along {where} and were tapered over an eighth of each side; results "
        "there, and where the flow from there arrives, are not to be trusted.",
        stacklevel=4,
    )
    return window(tensor)


def as_states(initial: Any, *, like: Tensor) -> Tensor:
    """Initial fields ``(n, ...)`` in single precision, as many as there are observations."""
    tensor = to_tensor(initial) if is_labelled(initial) else torch.as_tensor(initial)
    tensor = tensor.detach().to(torch.float32)
    tensor = tensor if tensor.ndim > 2 else tensor[None]
    if len(tensor) != len(like):
        msg = f"initial has {len(tensor)} fields and final {len(like)}; pass equally many."
        raise ValueError(msg)
    return tensor


def as_simulated(initial: Any, *, like: Tensor) -> Tensor:
    """Simulated initial fields ``(m, ...)`` in single precision, on the grid of the field that is inverted.

    Raises
    ------
    ValueError
        If they are on another grid, not finite, or all the same.
    """
    tensor = to_tensor(initial) if is_labelled(initial) else _tensor(initial)
    tensor = tensor.detach().to(torch.float32)
    if tensor.ndim != like.ndim or tensor.shape[1:] != like.shape[1:] or len(tensor) < 2:
        wanted = ", ".join(map(str, like.shape[1:]))
        msg = f"initial has shape {tuple(tensor.shape)}; pass two simulated fields or more as (m, {wanted})."
        raise ValueError(msg)
    check_field(tensor, name="initial")
    if not float(tensor.std()) > 0:
        msg = "initial has fields that are all the same; pass simulated fields that vary like the unknown ones."
        raise ValueError(msg)
    return tensor


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless a value is one of those allowed."""
    if value not in allowed:
        msg = f"{name} is {value!r}; choose {' or '.join(map(repr, allowed))}."
        raise ValueError(msg)
