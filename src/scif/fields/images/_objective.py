"""The objective that a denoiser minimises by default."""

from __future__ import annotations

from torch import Tensor

from scif.core import InverseConsistency, InverseFlowMatching, Objective
from scif.fields.images._risk import OnPart, UnbiasedRisk, has_exact_split
from scif.fields.images._settings import Settings
from scif.fields.images._stein import SteinRisk
from scif.fields.images._units import InUnits

__all__ = ["make_objective", "make_risk"]

_SHARE = 0.125
"""Share of a batch that the consistency term gets: its weight is small, and a row costs more than one of the anchor."""


def make_risk(noise: InUnits, x1: Tensor, *, fraction: float) -> UnbiasedRisk | SteinRisk:
    """An unbiased estimate of the squared error: by a split where the channel has one, else by Stein's identity.

    Parameters
    ----------
    noise
        The channel in the units of the network.
    x1
        Many observations ``(n, channels, *spatial)``.
    fraction
        Share of an observation's information that the network sees.
    """
    if has_exact_split(noise, x1):
        return UnbiasedRisk(noise, fraction=fraction)
    return SteinRisk.measured(noise, x1, fraction=fraction)


def make_objective(settings: Settings, noise: InUnits, x1: Tensor) -> Objective:
    """The weighted sum of anchor and consistency term that ``settings`` ask for."""
    if settings.method == "icm":
        term: Objective = InverseConsistency(noise, num_steps=settings.num_steps)
    else:
        term = InverseFlowMatching(noise, num_steps=settings.num_steps, prediction="x0")
    if settings.anchor_weight == 0:
        return term * settings.consistency_weight
    anchor = make_risk(noise, x1, fraction=settings.fraction)
    return anchor * settings.anchor_weight + OnPart(term, share=_SHARE) * settings.consistency_weight
