"""Steps that shrink towards the clean end."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.core._check import check_fraction, check_positive
from scif.core.schedule.base import Schedule

__all__ = ["Karras"]


class Karras(Schedule):
    r"""Steps that shrink towards the clean end: times are equally spaced after taking the ``rho``-th root.

    ``grid(n)`` is 0 followed by ``n`` points from ``t_min`` to 1, :math:`t_i = (t_{min}^{1/\rho} + \frac{i - 1}{n - 1}
    (1 - t_{min}^{1/\rho}))^\rho`. The "11 points" of the publication have their boundary at ``t_min`` instead of 0:
    they are ``grid(11)[1:]``.

    Parameters
    ----------
    rho
        Strength of the concentration near 0; 1 gives equal steps.
    t_min
        First time after 0.

    References
    ----------
    Karras et al., "Elucidating the design space of diffusion-based generative models", NeurIPS 2022, equation 5.

    Examples
    --------
    >>> from scif.core.schedule import Karras
    >>> [round(t, 3) for t in Karras().grid(4).tolist()]
    [0.0, 0.02, 0.095, 0.34, 1.0]
    """

    def __init__(self, rho: float = 7.0, t_min: float = 0.02) -> None:
        check_positive(rho, name="rho")
        check_fraction(t_min, name="t_min")
        self.rho, self.t_min = float(rho), float(t_min)

    def inner_times(self, num_steps: int) -> Tensor:
        """The points from ``t_min`` on, without the last."""
        root = self.t_min ** (1.0 / self.rho)
        share = torch.arange(num_steps - 1, dtype=torch.float64) / max(num_steps - 1, 1)
        return (root + share * (1.0 - root)) ** self.rho
