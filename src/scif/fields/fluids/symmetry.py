"""The symmetries of a flow on a periodic square, as augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.fields.fluids.solver import NavierStokes2D

__all__ = ["has_square_symmetry", "homogeneous_axes", "random_shifts", "random_symmetries", "symmetry"]


def symmetry(vorticity: Tensor, index: int) -> Tensor:
    """Apply one of the eight symmetries of the square: ``index % 4`` quarter turns, for 4 to 7 after a mirror image.

    Vorticity changes its sign in a mirror. An unforced flow commutes with all of them.
    """
    if not 0 <= index < 8:
        msg = f"index is {index}; a square has the symmetries 0 to 7."
        raise ValueError(msg)
    mirrored = -vorticity.flip(-1) if index >= 4 else vorticity
    return torch.rot90(mirrored, index % 4, (-2, -1))


def random_symmetries(vorticity: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Apply a random symmetry to each field.

    Parameters
    ----------
    vorticity
        Fields ``(batch, ..., side, side)``.
    generator
        Source of randomness.
    """
    device = generator.device if generator is not None else None
    indices = torch.randint(8, (vorticity.shape[0],), generator=generator, device=device)
    return torch.stack([symmetry(field, int(i)) for field, i in zip(vorticity, indices, strict=True)])


def random_shifts(fields: Tensor, axes: tuple[int, ...], *, generator: torch.Generator | None = None) -> Tensor:
    """A random periodic shift of each field along the given axes of space.

    Where a mask hides a part of the domain, shifts bring fields that were seen elsewhere behind it.

    Parameters
    ----------
    fields
        Fields ``(batch, ..., height, width)``.
    axes
        -2 for ``y``, -1 for ``x``.
    generator
        Source of randomness.
    """
    device = generator.device if generator is not None else None
    largest = max(fields.shape[-2:])
    shifts = torch.randint(largest, (fields.shape[0], len(axes)), generator=generator, device=device).tolist()
    return torch.stack([field.roll(shift, axes) for field, shift in zip(fields, shifts, strict=True)])


def has_square_symmetry(solver: NavierStokes2D) -> bool:
    """Whether a flow commutes with the symmetries of the square: no forcing, and sides of one length."""
    square = not isinstance(solver.length, tuple) or solver.length[0] == solver.length[1]
    return square and not solver.forcing


def homogeneous_axes(solver: NavierStokes2D) -> tuple[int, ...]:
    """The axes of space, -2 for ``y`` and -1 for ``x``, along which no forcing varies: shifts commute with the flow."""
    return tuple(axis for axis in (-2, -1) if all(wave.wavenumber[axis] == 0 for wave in solver.forcing))
