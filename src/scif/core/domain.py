"""The sets that clean and observed signals live in."""

from __future__ import annotations

import math
from enum import Enum

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Domain"]


class Domain(Enum):
    """The support of a signal.

    A domain checks its members, projects values into itself (:meth:`project`), maps an unconstrained network output
    into itself (:meth:`from_real`), and maps it back (:meth:`to_real`).

    Examples
    --------
    >>> import torch
    >>> from scif.core import Domain
    >>> Domain.POSITIVE.contains(torch.tensor([0.0, 2.5]))
    True
    >>> Domain.UNIT.project(torch.tensor([-0.5, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    REAL = "real"
    """Any finite number."""
    POSITIVE = "positive"
    """Finite non-negative numbers (intensities, expected counts)."""
    UNIT = "unit interval"
    """Between zero and one inclusive."""
    COUNTS = "counts"
    """Non-negative whole numbers."""

    def contains(self, x: Tensor) -> bool:
        """True if every entry of ``x`` is finite and inside the domain."""
        if x.numel() == 0:
            return True
        low, high = (float(end) for end in torch.aminmax(x.detach()))  # both are NaN if any entry is
        if not (math.isfinite(low) and math.isfinite(high)):
            return False
        if self is Domain.REAL:
            return True
        if low < 0 or (self is Domain.UNIT and high > 1):
            return False
        return self is not Domain.COUNTS or bool((x == x.round()).all())

    def check(self, x: Tensor, *, name: str) -> None:
        """Raise ``ValueError`` naming the first offending value unless ``x`` is inside the domain."""
        if torch.compiler.is_compiling() or self.contains(x):
            return
        bad = ~torch.isfinite(x)
        if self is not Domain.REAL:
            bad = bad | (x < 0)
        if self is Domain.UNIT:
            bad = bad | (x > 1)
        if self is Domain.COUNTS:
            bad = bad | (x != x.round())
        value = float(x.detach()[bad].flatten()[0])
        msg = f"{name} contains {value:g} ({int(bad.sum())} such entries), outside its support: {self.value}."
        raise ValueError(msg)

    def project(self, x: Tensor) -> Tensor:
        """Nearest member of the domain. Counts are *not* rounded: an expectation need not be whole."""
        if self is Domain.REAL:
            return x
        if self is Domain.UNIT:
            return x.clamp(0.0, 1.0)
        return x.clamp_min(0.0)

    def from_real(self, x: Tensor) -> Tensor:
        """Map an unconstrained tensor smoothly into the domain (softplus, logistic or identity)."""
        if self is Domain.REAL:
            return x
        if self is Domain.UNIT:
            return torch.sigmoid(x)
        return F.softplus(x)

    def to_real(self, x: Tensor) -> Tensor:
        """Inverse of :meth:`from_real`; members at or near the edge are moved a millionth inside.

        Examples
        --------
        >>> import torch
        >>> from scif.core import Domain
        >>> x = torch.tensor([0.2, 0.9])
        >>> torch.allclose(Domain.UNIT.from_real(Domain.UNIT.to_real(x)), x)
        True
        """
        if self is Domain.REAL:
            return x
        if self is Domain.UNIT:
            return torch.logit(x, eps=1e-6)
        x = x.clamp_min(1e-6)
        return x + torch.log(-torch.expm1(-x))
