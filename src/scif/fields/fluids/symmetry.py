"""The symmetries of an unforced flow on a square, as augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.fields.fluids.solver import NavierStokes2D

__all__ = ["has_square_symmetry", "random_symmetries", "symmetry"]


def symmetry(vorticity: Tensor, index: int) -> Tensor:
    """One of the eight symmetries of the square: ``index % 4`` quarter turns, and for 4 to 7 a mirror image before.

    Vorticity changes its sign in a mirror. An unforced flow commutes with all of them.
    """
    if not 0 <= index < 8:
        msg = f"index is {index}; a square has the symmetries 0 to 7."
        raise ValueError(msg)
    mirrored = -vorticity.flip(-1) if index >= 4 else vorticity
    return torch.rot90(mirrored, index % 4, (-2, -1))


def random_symmetries(vorticity: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """A random symmetry of each field.

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


def has_square_symmetry(solver: NavierStokes2D) -> bool:
    """Whether a flow commutes with the symmetries of the square: no forcing, and sides of one length."""
    square = not isinstance(solver.length, tuple) or solver.length[0] == solver.length[1]
    return square and not solver.forcing
