"""Objectives: what a network is asked to minimise."""

from __future__ import annotations

from scif.core.objective.anchor import Anchor
from scif.core.objective.base import LossOutput, Objective, SumObjective
from scif.core.objective.denoise import Denoise
from scif.core.objective.flow_matching import FlowMatching
from scif.core.objective.gct import GCT
from scif.core.objective.inverse import CleanEstimates, Inverse
from scif.core.objective.inverse_consistency import InverseConsistency
from scif.core.objective.inverse_flow_matching import InverseFlowMatching
from scif.core.objective.posterior import Posterior
from scif.core.objective.trajectory import TrajectoryObjective

__all__ = [
    "GCT",
    "Anchor",
    "CleanEstimates",
    "Denoise",
    "FlowMatching",
    "Inverse",
    "InverseConsistency",
    "InverseFlowMatching",
    "LossOutput",
    "Objective",
    "Posterior",
    "SumObjective",
    "TrajectoryObjective",
]
