"""Parameters of the count model: one frozen result a stage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MAX_SHAPE", "CellScale", "Dispersion", "LatentPrior", "Loadings", "Parameters", "Trend", "Uncertainty"]

#: Gamma shape that stands for no variation (dimensionless): a coefficient of variation of a thousandth.
MAX_SHAPE = 1e6


@dataclass(frozen=True)
class Loadings:
    r"""Output layer: :math:`\log \rho_g = \text{const} + b_g + w_g^\top z`.

    Attributes
    ----------
    weight
        Loadings :math:`W`, ``(genes, factors)``.
    bias
        Biases :math:`b`, ``(genes,)``.
    """

    weight: Tensor
    bias: Tensor

    def logits(self, factors: Tensor, offset: Tensor | None = None) -> Tensor:
        """Log-rates ``(cells, genes)`` of latent factors ``(cells, k)``, with the batches' offsets."""
        out = torch.addmm(self.bias, factors, self.weight.T)
        return out if offset is None else out + offset

    def moved(self, mean: Tensor, root: Tensor) -> Loadings:
        """The same log-rates of factors ``z`` that are given as ``mean + root z``."""
        return Loadings(self.weight @ root, self.bias + self.weight @ mean)

    def along(self, axes: Tensor) -> Loadings:
        """The log-rates of factors in the directions ``axes (k, kept)`` alone."""
        root = axes.to(self.weight)
        return self.moved(root.new_zeros(len(root)), root)


@dataclass(frozen=True)
class Dispersion:
    r"""Gene-specific variation and technical overdispersion.

    Attributes
    ----------
    residual_shape
        Gamma shape :math:`\alpha_g` of the gene-specific variation, ``(genes,)``; :data:`MAX_SHAPE` stands for none.
    inverse_dispersion
        Technical inverse dispersion :math:`\theta_g`, ``(genes,)``; :data:`MAX_SHAPE` stands for Poisson noise.
    """

    residual_shape: Tensor
    inverse_dispersion: Tensor

    @classmethod
    def none(cls, genes: int) -> Dispersion:
        """Poisson counts around their expectation."""
        return cls(torch.full((genes,), MAX_SHAPE), torch.full((genes,), MAX_SHAPE))

    @property
    def total(self) -> Tensor:
        """Dispersion of each gene beyond Poisson noise, ``(genes,)``."""
        biological, technical = 1.0 / self.residual_shape, 1.0 / self.inverse_dispersion
        return biological + technical + biological * technical

    @property
    def technical(self) -> Tensor | None:
        """Technical inverse dispersion ``(genes,)``; None for Poisson noise."""
        return self.inverse_dispersion if float(self.inverse_dispersion.min()) < MAX_SHAPE else None

    def technical_of(self, genes: Tensor) -> Tensor | None:
        """Technical inverse dispersion of some genes, by number; None for Poisson noise."""
        return None if self.technical is None else self.inverse_dispersion[genes]


@dataclass(frozen=True)
class Trend:
    r"""Factor :math:`\exp(a_g + b_g \ell)` on a gene's expected count in cells of library size ``L``.

    :math:`\ell` is :math:`\log L` less the batch's average, within the range that the trend was fitted to. A slope
    of 0 is that of a constant share of the library, a slope of -1 that of the same count at every depth.

    Attributes
    ----------
    bias, slope
        :math:`a` and :math:`b`, ``(genes,)``.
    level
        Average log library size of each batch, ``(batches,)``.
    range
        Least and largest :math:`\ell`, ``(2,)``.
    fitted_bias
        Biases before gene totals were kept, ``(genes,)``; :attr:`bias` if None.

    Examples
    --------
    >>> import torch
    >>> trend = Trend(torch.zeros(2), torch.tensor([0.0, -1.0]), torch.zeros(1), torch.tensor([-9.0, 9.0]))
    >>> trend.factor(torch.tensor([1.0, 4.0])).tolist()
    [[1.0, 1.0], [1.0, 0.25]]
    """

    bias: Tensor
    slope: Tensor
    level: Tensor
    range: Tensor
    fitted_bias: Tensor | None = None

    def factor(self, library: Tensor, *, batch: Tensor | None = None, genes: Tensor | None = None) -> Tensor:
        """Factors ``(cells, genes)`` at library sizes ``(cells,)``; of all genes if none are named by number."""
        bias, slope = (part if genes is None else part[genes] for part in (self.bias, self.slope))
        level = self.level[0] if batch is None else self.level[batch.reshape(-1).long()]
        depth = (library.clamp_min(1e-6).log() - level).clamp(self.range[0], self.range[1])
        return torch.exp(torch.addcmul(bias.expand(len(depth), -1), depth[:, None], slope))


@dataclass(frozen=True)
class LatentPrior:
    r"""Distribution of the latent factors before noise, :math:`z \sim \sum_k \pi_k N(m_k, S_k)`, and its decoder.

    With :math:`S_k = R_k R_k^\top` and :math:`R_k^\top F_k R_k` diagonal, where :math:`F_k` is a component's average
    information per molecule, posteriors are mixtures of normals that cost a few narrow products.

    Attributes
    ----------
    entry
        Map of the network's latent factors to these, with the constant in its last row, ``(network's + 1, k)``.
    loadings
        Posterior means of the loadings, which decode posterior means.
    loose
        Loosely shrunk loadings, which decode draws and transported factors: they keep variance.
    log_weights
        :math:`\log \pi`, ``(components,)``.
    centre
        :math:`m`, ``(components, k)``.
    root, unroot
        :math:`R` and its inverse, ``(components, k, k)``.
    information
        Diagonals of :math:`R^\top F R`, per molecule, ``(components, k)``.
    noise
        Part of the information per molecule that noise of the loadings accounts for, ``(k, k)``.
    stretch
        Optimal transport of each component's posterior means to the component, ``(components, k, k)``.
    residual_shape
        Gamma shape of the gene-specific variation around draws of the factors, ``(genes,)``.
    """

    entry: Tensor
    loadings: Loadings
    loose: Loadings
    log_weights: Tensor
    centre: Tensor
    root: Tensor
    unroot: Tensor
    information: Tensor
    noise: Tensor
    stretch: Tensor
    residual_shape: Tensor


@dataclass(frozen=True)
class CellScale:
    r"""Distribution of the cells' dispersion scales, :math:`\log_2 s_n \sim N(\text{centre}, \text{spread}^2)`.

    Attributes
    ----------
    centre, spread
        In binary logarithms.
    """

    centre: float
    spread: float


@dataclass(frozen=True)
class Uncertainty:
    """Parameters of intervals and draws.

    Attributes
    ----------
    shape
        Gamma shape of the gene-specific variation around drawn factors and loadings, ``(genes,)``.
    cells, depth
        Number of cells that the loadings were fitted to, and their mean number of molecules.
    """

    shape: Tensor
    cells: float
    depth: float


@dataclass(frozen=True)
class Parameters:
    """Everything that is fitted beside the network; a stage that was not run has None.

    Attributes
    ----------
    profile
        Pooled composition over genes, ``(genes,)``; of genes that share no variance such that totals are kept.
    dispersion
        Gene-specific variation and technical overdispersion.
    pooled
        Pooled composition as counted, ``(genes,)``.
    provisional
        Dispersion around the trained network, which the stages before the final one use.
    residual
        Whether estimates contain gene-specific variation; without it they are what genes share.
    credibility
        One for genes that pass the test of shared variance, zero for the others, ``(genes,)``.
    trend
        Technical trend with depth of the genes that do not pass.
    loadings
        Output layer as posterior means; the network's own if None.
    prior
        Distribution of the latent factors.
    prior_share
        Weight of the composition under the prior in the mean of it and the network's.
    cell_scale
        Distribution of the cells' dispersion scales.
    uncertainty
        For intervals and draws; None without a prior.
    """

    profile: Tensor
    dispersion: Dispersion
    pooled: Tensor | None = None
    provisional: Dispersion | None = None
    residual: bool = True
    credibility: Tensor | None = None
    trend: Trend | None = None
    loadings: Loadings | None = None
    prior: LatentPrior | None = None
    prior_share: float = 0.0
    cell_scale: CellScale | None = None
    uncertainty: Uncertainty | None = None

    @property
    def sharing(self) -> Tensor | None:
        """:attr:`credibility` if a gene has none, None if all genes pass the test."""
        if self.credibility is None or float(self.credibility.min()) == 1.0:
            return None
        return self.credibility

    def own(self, shape: Tensor) -> Tensor:
        """Gamma shapes as estimates use them: as given, or none without :attr:`residual`."""
        return shape if self.residual else torch.full_like(shape, MAX_SHAPE)

    @property
    def spread(self) -> Tensor:
        """Gamma shapes around transported or drawn factors, ``(genes,)``."""
        shape = self.dispersion.residual_shape
        if self.prior is None:
            return self.own(shape)
        around = self.prior.residual_shape
        return self.own(around if self.credibility is None else torch.where(self.credibility > 0, around, shape))
