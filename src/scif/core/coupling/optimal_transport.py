"""Pairs of least total distance within a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from scif._extras import require
from scif.core._check import check_positive
from scif.core.coupling.base import Coupled, Coupling, squared_distances

__all__ = ["MinibatchOT"]


class MinibatchOT(Coupling):
    """Optimal transport between the data and the noise of a batch, with squared Euclidean cost.

    Use it for generative models only. Between clean signals and their observations it would undo the channel.

    Parameters
    ----------
    regularization
        Entropy relative to the mean cost. 0 gives the exact assignment. With positive values each sample draws its
        partner from its row of the Sinkhorn plan.

    References
    ----------
    Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal transport",
    TMLR 2024.

    Examples
    --------
    >>> import torch
    >>> from scif.core.coupling import MinibatchOT
    >>> MinibatchOT()(torch.tensor([[0.0], [1.0]]), torch.tensor([[1.1], [0.1]])).x1.flatten().tolist()
    [0.10000000149011612, 1.100000023841858]
    """

    def __init__(self, regularization: float = 0.0) -> None:
        check_positive(regularization, name="regularization", strict=False)
        self.regularization = float(regularization)

    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        """Give each sample of ``x0`` its partner in ``x1``."""
        # imports many optional backends: only for those who use it
        ot = require("ot", extra="fluids", purpose="MinibatchOT")

        cost = squared_distances(x0.detach(), x1.detach()).cpu().double()
        uniform = cost.new_full((cost.shape[0],), 1.0 / cost.shape[0])
        if self.regularization == 0.0:
            # with equal uniform masses the optimum is a permutation
            return Coupled(x0, x1[ot.emd(uniform, uniform, cost).argmax(1).to(x1.device)])
        scale = self.regularization * float(cost.mean())
        plan = ot.sinkhorn(uniform, uniform, cost, scale, method="sinkhorn_log", stopThr=1e-6)
        return Coupled(x0, x1[torch.multinomial(plan.to(x1), 1, generator=generator).squeeze(1)])
