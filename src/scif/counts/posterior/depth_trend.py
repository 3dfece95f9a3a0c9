"""What a gene's counts do with depth, beyond growing in proportion to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DepthTrend"]


class DepthTrend(nn.Module):
    r"""Factor :math:`\exp(a_g + b_g \ell)` on the expected count of a gene in cells of library size ``L``.

    :math:`\ell` is :math:`\log L` less the batch's average. A gene with the slope :math:`b_g = 0` has a share of each
    library, one with -1 the same count in deep and shallow cells. For a gene that follows no other gene a trend
    between these is no biology but how it was measured (:cite:t:`hafemeister2019normalization`): observations are
    compared with the expectation at their depth, and the result is expressed at none.

    Parameters
    ----------
    genes, batches
        Numbers of genes and of batches.

    Examples
    --------
    >>> import torch
    >>> from scif.counts.posterior.depth_trend import DepthTrend
    >>> trend = DepthTrend(genes=2)
    >>> trend.flat
    True
    >>> trend.slope.copy_(torch.tensor([0.0, -1.0]))
    tensor([ 0., -1.])
    >>> trend.range.copy_(torch.tensor([-9.0, 9.0]))
    tensor([-9.,  9.])
    >>> trend(torch.tensor([1.0, 4.0]), torch.ones(2)).tolist()
    [[1.0, 1.0], [1.0, 0.25]]
    """

    bias: Tensor
    slope: Tensor
    level: Tensor
    range: Tensor

    def __init__(self, genes: int, batches: int = 1) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(genes))
        self.register_buffer("slope", torch.zeros(genes))
        self.register_buffer("level", torch.zeros(batches))
        self.register_buffer("range", torch.zeros(2))

    @property
    def flat(self) -> bool:
        """Whether no gene has a trend."""
        return not bool(self.slope.any()) and not bool(self.bias.any())

    def forward(
        self, library: Tensor, t: Tensor, *, batch: Tensor | None = None, genes: Tensor | None = None
    ) -> Tensor:
        """Factors ``(cells, genes)``; they are one where there is no noise.

        Parameters
        ----------
        library
            Library sizes ``(cells,)``; outside the range of those that the trend was fitted to it is constant.
        t
            Times in [0, 1], ``(cells,)``.
        batch
            Batch codes ``(cells,)``.
        genes
            Numbers of the genes that are asked for; all if not given.
        """
        bias, slope = (part if genes is None else part[genes] for part in (self.bias, self.slope))
        level = self.level[0] if batch is None else self.level[batch.reshape(-1).long()]
        depth = (library.clamp_min(1e-6).log() - level).clamp(self.range[0], self.range[1])
        return torch.exp(torch.addcmul(t[:, None] * bias, (t * depth)[:, None], slope))
