"""Marginal distance: do re-noised clean estimates look like the observations?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from scif._extras import require
from scif.core._check import check_finite, check_same_shape
from scif.core._precision import double_on
from scif.core.noise.base import NoiseModel

__all__ = ["Marginal", "marginal", "sliced_wasserstein"]


@dataclass(frozen=True)
class Marginal:
    """Distance between re-noised estimates and observations, and between two sets of observations."""

    distance: float
    """Sliced Wasserstein distance between re-noised estimates and observations."""
    reference: float
    """Distance between two halves of the observations: the value expected by chance."""
    verdict: Literal["matching", "differing"]
    """True if chance explains the distance."""
    message: str
    """Verdict in words."""


def sliced_wasserstein(
    a: Tensor, b: Tensor, *, num_projections: int = 256, generator: torch.Generator | None = None
) -> float:
    """Sliced 2-Wasserstein distance between two samples, on the scale of the data.

    Parameters
    ----------
    a
        Samples, ``(n, ...)``.
    b
        Samples ``(m, ...)`` with entries of the same shape.
    num_projections
        Number of random directions.
    generator
        Random generator for the directions.

    Examples
    --------
    >>> import torch
    >>> from scif.core.monitor import sliced_wasserstein
    >>> x = torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    >>> round(sliced_wasserstein(x, x + 3.0), 4)
    3.0
    """
    if a.shape[1:] != b.shape[1:]:
        msg = f"samples of a have shape {tuple(a.shape[1:])}, those of b {tuple(b.shape[1:])}; they must be equal."
        raise ValueError(msg)
    check_finite(a, name="a")
    check_finite(b, name="b")
    ot = require("ot", extra="fluids", purpose="sliced_wasserstein")  # slow to import

    a, b = a.detach().flatten(1).cpu().double(), b.detach().flatten(1).cpu().double()
    device = generator.device if generator is not None else torch.device("cpu")
    shape, dtype = (a.shape[1], num_projections), double_on(device)
    directions = torch.randn(shape, generator=generator, device=device, dtype=dtype).cpu().double()
    directions = torch.nn.functional.normalize(directions, dim=0)
    return float(ot.sliced_wasserstein_distance(a, b, projections=directions, p=2))


def marginal(
    x1: Tensor,
    x0: Tensor,
    noise: NoiseModel,
    *,
    tolerance: float = 2.0,
    num_projections: int = 256,
    generator: torch.Generator | None = None,
) -> Marginal:
    """Sliced Wasserstein distance between re-noised estimates and observations, against its value by chance.

    One half of the estimates is re-noised and compared with the *other* half of the observations, so both distances are
    between independent samples of the same size.

    Parameters
    ----------
    x1
        Observations, ``(n, ...)``.
    x0
        Clean estimates of them that keep the distribution (``transport`` or ``sample``, not ``mean``).
    noise
        The channel.
    tolerance
        Samples count as different if their distance exceeds this multiple of the distance between two halves of the
        observations.
    num_projections
        Number of random directions.
    generator
        Random generator.

    Examples
    --------
    >>> import torch
    >>> from scif.core.monitor import marginal
    >>> from scif.core.noise import Gaussian
    >>> rng = torch.Generator().manual_seed(0)
    >>> x0 = torch.randn(2000, 2, generator=rng)
    >>> x1 = Gaussian(1.0).sample(x0, generator=rng)
    >>> marginal(x1, x0, Gaussian(1.0), generator=rng).verdict
    'matching'
    """
    check_same_shape(x1, x0, names=("x1", "x0"))
    check_finite(x1, name="x1")
    check_finite(x0, name="x0")
    if x1.shape[0] < 20:
        msg = f"x1 has {x1.shape[0]} samples; pass at least 20, so that two halves can be compared."
        raise ValueError(msg)
    device = generator.device if generator is not None else None
    order = torch.randperm(x1.shape[0], generator=generator, device=device).to(x1.device)
    half = x1.shape[0] // 2
    left, right = order[:half], order[half : 2 * half]
    with torch.no_grad():
        renoised = noise.sample(x0[left], generator=generator)
    state = {"num_projections": num_projections, "generator": generator}
    distance = sliced_wasserstein(renoised, x1[right], **state)  # type: ignore[arg-type]
    reference = sliced_wasserstein(x1[left], x1[right], **state)  # type: ignore[arg-type]
    differing = distance > tolerance * reference
    words = "do not look like" if differing else "look like"
    message = (
        f"re-noised estimates {words} the observations: sliced Wasserstein distance {distance:.3g}, "
        f"against {reference:.3g} between two halves of the observations."
    )
    return Marginal(distance, reference, "differing" if differing else "matching", message)
