"""How many ancestors a population with mutation has: the mixing law behind exact Jacobi diffusion."""

from __future__ import annotations

from decimal import Decimal, localcontext

__all__ = ["MIN_HORIZON", "ancestor_law"]

MIN_HORIZON = 0.05
"""Shorter times have hundreds of ancestors, whose series needs ever more digits and seconds."""


def ancestor_law(theta: float, horizon: float) -> list[float]:
    """Probabilities of ``0, 1, 2, ...`` ancestors at ``horizon`` of the coalescent with mutation rate ``theta``.

    The alternating series of Griffiths (1980) and Tavare (1984) loses all its digits in floating point at short
    times, so it is summed in decimal arithmetic; the tail left out has probability below ``1e-12``.

    Raises
    ------
    ValueError
        If ``horizon`` is below :data:`MIN_HORIZON`.
    """
    if horizon < MIN_HORIZON:
        msg = f"horizon is {horizon:g}; exact Jacobi samples need at least {MIN_HORIZON:g}; use sampler='euler'."
        raise ValueError(msg)
    with localcontext() as context:
        context.prec = 60 + int(4 / horizon)
        rate, time = Decimal(theta), Decimal(horizon)
        law: list[Decimal] = []
        lead = Decimal(1)
        while sum(law) < 1 - Decimal("1e-12"):
            m = len(law)
            law.append(_probability(m, lead, rate, time))
            # lead is (m + theta)_(m - 1) / m! for the next m, which starts at one.
            following = m + 1
            lead = Decimal(1) if m == 0 else lead * (2 * m + rate - 1) * (2 * m + rate) / (m + rate) / following
        total = sum(law)
        return [max(float(p / total), 0.0) for p in law]


def _probability(m: int, lead: Decimal, theta: Decimal, time: Decimal) -> Decimal:
    """Probability of exactly ``m`` ancestors."""
    if m == 0:
        # The term k = 0 of the general series is one, also where its factors are 0/0.
        total, k, term = Decimal(1), 1, -(theta + 1) * (-theta * time / 2).exp()
    else:
        total, k, term = Decimal(0), m, lead * (theta + 2 * m - 1) * (-m * (m + theta - 1) * time / 2).exp()
    decay, shrink = (-(2 * k + theta) * time / 2).exp(), (-time).exp()
    while True:
        total += term
        ratio = (theta + 2 * k + 1) / (theta + 2 * k - 1) * (m + theta + k - 1) / (k + 1 - m) * decay
        if abs(term) < Decimal("1e-40") and ratio < Decimal("0.5"):
            return total
        term *= -ratio
        decay *= shrink
        k += 1
