"""Information that the counts of cells hold on their latent factors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.statistics.mixture import CELLS

__all__ = ["CellInformation"]


@dataclass(frozen=True)
class CellInformation:
    """Laplace approximation of all cells, with information averaged over groups of similar cells.

    Attributes
    ----------
    z
        Factors at which the likelihoods have their peak, ``(n, k)``.
    molecules
        Molecules of the cells, ``(n,)``.
    group
        Membership of each cell in each group, ``(n, groups)``; rows sum to one.
    information
        Information on the factors per molecule, average of each group, ``(groups, k, k)``.
    noise
        Part of it that noise of the loadings accounts for, ``(k, k)``.
    """

    z: Tensor
    molecules: Tensor
    group: Tensor
    information: Tensor
    noise: Tensor

    def of(self, member: Tensor) -> Tensor:
        """Information per molecule, averaged over the members ``(n, c)`` of each component, ``(c, k, k)``."""
        share = member.T @ self.group / (member.sum(0) + 1e-6)[:, None]
        return torch.einsum("cg,gij->cij", share, self.information) + self.noise

    def informative(self, *, least: float) -> Tensor:
        """Directions ``(k, kept)`` with more information in an average cell than ``least``; there may be none.

        Noise of the loadings is no information. With few cells only the best-known directions are kept: one for
        :data:`~scif.counts.statistics.mixture.CELLS` cells.
        """
        share = self.molecules @ self.group / len(self.z)
        strength, axes = torch.linalg.eigh(torch.einsum("g,gij->ij", share, self.information - self.noise))
        kept = min(int((strength > least).sum()), len(self.z) // CELLS)
        return axes[:, len(axes) - kept :]

    def along(self, axes: Tensor) -> CellInformation:
        """The same in these directions ``(k, kept)`` alone."""
        information, noise = (axes.T @ part @ axes for part in (self.information, self.noise))
        return CellInformation(self.z @ axes, self.molecules, self.group, information, noise)
