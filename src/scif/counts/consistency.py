"""The consistency function of counts, as objectives and the training loop see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import batch_times
from scif.counts.data.sparse_counts import SparseCounts, dense_counts, library_sizes
from scif.counts.frozen import to_device
from scif.counts.network import CountNetwork
from scif.counts.posterior.estimate import combine
from scif.counts.posterior.expectation import Kind
from scif.counts.posterior.parameters import Parameters

__all__ = ["CountConsistency"]


class CountConsistency(nn.Module):
    r"""Expected counts from points of a path towards counts, with ``c(x, 0) = x`` exactly and the library size kept.

    The network gives :math:`\mu = L \rho(x, t)`. A point :math:`x_t` of the straight line from the signal to the counts
    has variance :math:`t^2 (x_0 + x_0^2 / \theta_g)` around the signal :math:`x_0`, which varies with the gamma shape
    :math:`\alpha_g` around :math:`\mu`. The share of a deviation from :math:`\mu` that is signal is then

    .. math:: k_t = \frac{\mu / \alpha_g}
              {\mu / \alpha_g + t^2 \left(1 + \mu (1 + 1 / \alpha_g) / \theta_g\right)},

    which is one at ``t = 0``. The posterior mean is :math:`\mu + k_t (x - \mu)`; ``kind="transport"`` is
    :math:`\mu + \sqrt{k_t} (x - \mu)`. Both are rescaled to the library size. Trained models are evaluated at ``t = 1``
    by :func:`scif.counts.posterior.estimate.estimate`, which knows the later stages, too.

    Parameters
    ----------
    network
        Gives log-rates.
    fitted
        Parameters beside the network.
    """

    def __init__(self, network: CountNetwork, fitted: Parameters) -> None:
        super().__init__()
        self.network = network
        self.fitted = fitted

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.network.bias.device

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> CountConsistency:
        super()._apply(fn, *args, **kwargs)
        self.fitted = to_device(self.fitted, self.device)
        return self

    def forward(
        self,
        x: SparseCounts | Tensor,
        t: float | Tensor,
        *,
        library: Tensor | None = None,
        batch: Tensor | None = None,
        kind: Kind = "mean",
    ) -> Tensor:
        """Expected counts ``(cells, genes)``.

        Parameters
        ----------
        x
            Counts, or points of a path towards them, ``(cells, genes)``.
        t
            Times in [0, 1], one for all or ``(cells,)``.
        library
            Library sizes ``(cells,)``; the sums of ``x`` if not given.
        batch
            Batch codes of the cells.
        kind
            Posterior mean, or its distribution-keeping counterpart.
        """
        library = library_sizes(x) if library is None else library
        times = batch_times(t, library[:, None])
        logits = self.network(x, times, library=library, batch=batch)
        mu = library[:, None] * torch.softmax(logits, 1)
        shape = self.fitted.own(self.fitted.dispersion.residual_shape)
        out = combine(
            x,
            mu,
            self.fitted,
            expected=mu,
            moved=mu,
            shape=shape,
            library=library,
            noise=times.square(),
            kind=kind,
        )
        if bool((times > 0).all()):
            return out
        # an exact identity at t = 0, beyond what rounding of the rescaling leaves
        return torch.where(times[:, None] > 0, out, dense_counts(x))
