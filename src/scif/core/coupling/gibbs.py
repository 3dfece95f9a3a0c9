"""Independent pairs, weighted by their distance."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import check_positive
from scif.core.coupling.base import Coupled, Coupling

__all__ = ["GibbsKernel"]


class GibbsKernel(Coupling):
    r"""Independent pairs with loss weights :math:`\exp(-\|x_0 - x_1\|^2 / \epsilon)`, scaled to mean 1 over the batch.

    This coupling approximates entropic optimal transport, up to a tilt of the marginals, and costs only the distances.

    Parameters
    ----------
    epsilon
        Width of the kernel, relative to the mean squared distance in the batch. Large values approach
        :class:`Independent`.

    References
    ----------
    Calvo-Ordonez et al., "Weighted conditional flow matching", arXiv 2507.22270.

    Examples
    --------
    >>> import torch
    >>> from scif.core.coupling import GibbsKernel
    >>> near_and_far = GibbsKernel()(torch.zeros(2, 1), torch.tensor([[0.5], [2.0]]))
    >>> bool(near_and_far.weights[0] > near_and_far.weights[1])
    True
    """

    def __init__(self, epsilon: float = 1.0) -> None:
        check_positive(epsilon, name="epsilon")
        self.epsilon = float(epsilon)

    def couple(self, x0: Tensor, x1: Tensor, *, generator: torch.Generator | None = None) -> Coupled:
        """Both batches unchanged, and the weights."""
        cost = (x0 - x1).detach().square().flatten(1).sum(1)
        weights = torch.softmax(-cost / (self.epsilon * cost.mean().clamp_min(torch.finfo(cost.dtype).tiny)), 0)
        return Coupled(x0, x1, weights * cost.shape[0])
