"""What a gene varies on its own beside technical noise: gamma shapes, and how much of a deviation is signal."""

from __future__ import annotations

from torch import Tensor

__all__ = ["combined_shape", "even_share", "signal_share"]


def combined_shape(shape: Tensor, technical: Tensor | None) -> Tensor:
    """Gamma shape of own and technical variation together; ``technical`` is None for Poisson noise."""
    return shape if technical is None else 1.0 / (1.0 / shape + 1.0 / technical + 1.0 / (shape * technical))


def signal_share(mu: Tensor, shape: Tensor, technical: Tensor | None, *, noise: Tensor | float = 1.0) -> Tensor:
    r"""Share of a deviation from the expectation ``mu`` that is signal, see ``CountConsistency``.

    Parameters
    ----------
    mu
        Expected counts.
    shape
        Gamma shape of the signal around them.
    technical
        Technical inverse dispersion; None for Poisson noise.
    noise
        Variance of the noise, as a share of that of counts: :math:`t^2`.
    """
    against = shape if technical is None else shape + mu * ((shape + 1.0) / technical)
    mu = mu.clamp_min(1e-30)
    return mu / (mu + noise * against)


def even_share(best: Tensor, typical: Tensor) -> Tensor:
    r"""Share of a deviation to keep, such that what is kept varies alike in all cells.

    Of a signal of variance :math:`\sigma^2` the best share, :math:`k = \sigma^2 / (\sigma^2 + \text{noise})`, leaves
    :math:`k \sigma^2`: less in cells with few molecules. Whatever is not linear, the logarithm above all, makes of this
    a trend with the library size, and of two genes that have it a correlation. With :math:`\sqrt{k c}`, where
    :math:`c` is the best share at a typical count, all cells are left :math:`c \sigma^2`, and their squared errors
    are larger by :math:`(\sqrt k - \sqrt c)^2 \sigma^2`: none at that count.

    Parameters
    ----------
    best
        The best share, ``(cells, genes)``.
    typical
        That of the typical count, ``(genes,)``.

    Examples
    --------
    >>> import torch
    >>> [round(float(share), 2) for share in even_share(torch.tensor([0.04, 0.25, 0.64]), torch.tensor(0.25))]
    [0.1, 0.25, 0.4]
    """
    return best.sqrt() * typical.sqrt()
