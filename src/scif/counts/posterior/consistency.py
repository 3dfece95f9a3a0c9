"""The consistency function of counts: a network for what genes share, conjugacy for what each gene has on its own."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from scif.core._check import batch_times
from scif.counts.data.sparse_counts import SparseCounts, dense_counts, library_sizes
from scif.counts.network import CountNetwork
from scif.counts.posterior.cell_scale import CellScale
from scif.counts.posterior.composition import mean_composition
from scif.counts.posterior.depth_trend import DepthTrend
from scif.counts.posterior.gene_variation import even_share, signal_share
from scif.counts.posterior.latent import MAX_SHAPE, CodePosterior, CodePrior
from scif.counts.posterior.outliers import find_outlying

__all__ = ["CountConsistency"]

#: Least and greatest factor on what is expected of a cell's genes, for its counts to add up to the library size.
FILL = (0.05, 20.0)
#: How many molecules' worth is known of that factor: it is one, give or take a tenth.
LEVEL = 100.0
#: Weight of a transported composition, unless a cell's counts are all against it.
TRANSPORTED = 0.9999


class CountConsistency(nn.Module):
    r"""Expected counts from counts, with ``c(x, 0) = x`` exactly and the library size kept.

    The network gives :math:`\mu = L \rho(x, t)`, what genes share. Each gene also varies on its own,
    :math:`x_0 \sim \mathrm{Gamma}(\text{mean } \mu, \text{shape } \alpha_g)`. The point :math:`x_t` of the straight
    line has variance :math:`t^2 (x_0 + x_0^2 / \theta_g)` around :math:`x_0`, so that the share of a deviation from
    :math:`\mu` that is signal is

    .. math:: k_t = \frac{\mu / \alpha_g}
              {\mu / \alpha_g + t^2 \left(1 + \mu (1 + 1 / \alpha_g) / \theta_g\right)},

    which is one at ``t = 0``. The posterior mean is :math:`\mu + k_t (x - \mu)`: for Poisson noise
    (:math:`\theta = \infty`) and ``t = 1`` the conjugate :math:`\mu (x + \alpha) / (\mu + \alpha)`. Its
    distribution-keeping counterpart ``"transport"`` is :math:`\mu + \sqrt{k_t} (x - \mu)`, whose variance is that of
    :math:`x_0`. Both are scaled to the library size.

    A gene that does not follow others more surely than chance would have it is not believed: with its *credibility*
    :math:`w_g`, zero or one, the composition is :math:`(1 - w_g) p_g + w_g \rho_g` around the pooled profile ``p``.
    What is not credible is constant, and no rescaling touches it: genes without a common signal stay uncorrelated.
    Nor does depth: such a gene's counts are compared with the expectation at their depth (``trend``), and what they
    have beyond it is expressed at none. Nor does how far it is shrunk: of the share :math:`k` of its deviation that is
    signal, which falls with depth, :math:`\sqrt{k c}` is kept, the one share :math:`c` for all cells being that of a
    ``typical`` count, so that its estimates vary as much in shallow cells as in deep ones.

    Gamma distributions have light tails. A count so far beyond its expectation that this cannot be its variation, a
    marker of a handful of cells, is its own estimate (``find_outlying``). The library size is kept by the
    level of what is expected: what estimates have of the counts themselves stays, and the genes that follow others
    take the rest, by a factor that is one give or take a tenth unless the cell's counts say otherwise.

    Cells are not alike either: in some, genes vary more on their own than in others. Once ``cell_scale`` is fitted,
    the shapes of a cell are :math:`s_i \alpha_g` for genes that go along with it. ``"transport"`` takes all cells to
    be alike: their variance is to be kept.

    Once ``prior`` is fitted, :math:`\rho` is the mean of the network's and of that of the posterior mean of the
    code, the latter with weight ``prior_share``, and ``"transport"`` decodes codes that are distributed as the
    prior; a gene that is not believed keeps its variance on its own. Where the counts leave no doubt that one of
    the two has gone astray, as it may for a cell unlike all others, the other has all of the weight.

    Parameters
    ----------
    network
        Gives the log-rates.
    inverse_dispersion
        Technical inverse dispersion :math:`\theta_g` of the noise, ``(genes,)``; infinite (``1e6``) if not given.
    residual
        Whether estimates have what each gene varies on its own. Without it they are what genes share; the variation
        is known all the same, since it says how far counts are to be trusted.
    """

    residual_shape: Tensor
    inverse_dispersion: Tensor
    prior_share: Tensor
    profile: Tensor
    credibility: Tensor
    typical: Tensor

    def __init__(
        self, network: CountNetwork, *, inverse_dispersion: Tensor | None = None, residual: bool = True
    ) -> None:
        super().__init__()
        self.network, self.residual = network, residual
        genes = network.num_genes
        self.register_buffer("residual_shape", torch.full((genes,), MAX_SHAPE))
        theta = torch.full((genes,), MAX_SHAPE) if inverse_dispersion is None else inverse_dispersion.float()
        self.register_buffer("inverse_dispersion", theta.clone())
        self.register_buffer("profile", torch.full((genes,), 1.0 / genes))
        self.register_buffer("credibility", torch.ones(genes))
        self.register_buffer("typical", torch.ones(genes))  # counts at which what is not believed has its best share
        self.prior = CodePrior(genes, network.width + network.extra)
        self.register_buffer("prior_share", torch.tensor(0.0))
        self.trend = DepthTrend(genes, network.num_batches)
        self.cell_scale = CellScale(genes)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.residual_shape.device

    @property
    def dispersion(self) -> Tensor:
        """Dispersion of each gene beyond Poisson noise, its own and the technical one, ``(genes,)``."""
        own, technical = 1.0 / self.residual_shape, 1.0 / self.inverse_dispersion
        return own + technical + own * technical

    def on_load(self, model: object, **kwargs: object) -> None:
        """Hook of scvi-tools after loading; nothing to do."""

    def rates(
        self,
        x: SparseCounts | Tensor,
        t: Tensor,
        *,
        library: Tensor,
        batch: Tensor | None = None,
        kind: Literal["mean", "transport"] = "mean",
    ) -> Tensor:
        """Composition over genes ``(cells, genes)`` of what genes share; ``transport`` keeps its variance."""
        network = self.network
        latent = network.latent(x, t, library=library, batch=batch)
        offset = network.offset(batch, latent)
        rho = torch.softmax(network.decode(latent, offset), 1)
        transported = kind == "transport" and self.prior.fitted
        share = TRANSPORTED if transported else float(self.prior_share)
        if share > 0.0:
            posterior = self._codes(x, t, latent, batch, own=transported)
            codes = self.prior.transported(posterior) if transported else posterior.mean()
            other = torch.softmax(self.prior.logits(codes, offset=offset, loose=transported), 1)
            rho = mean_composition(x, rho, other, share=share, dispersion=self.dispersion)
        constant = self.constant(batch)
        if constant is None:
            return rho
        varying = rho * self.credibility
        left = 1.0 - constant.sum(-1, keepdim=True)
        return varying * (left / varying.sum(1, keepdim=True).clamp_min(1e-12)) + constant

    def _moved(self, mu: Tensor, batch: Tensor | None, target: Tensor) -> Tensor:
        """Expectations as they would be in another batch, with the same sums, ``(cells, genes)``."""
        own, other = (self.network.offset(codes, mu) for codes in (batch, target))
        if own is None or other is None:
            return mu
        moved = mu * torch.exp(other - own)
        return moved * (mu.sum(1) / moved.sum(1).clamp_min(1e-12))[:, None]

    def _codes(
        self, x: SparseCounts | Tensor, t: Tensor, latent: Tensor, batch: Tensor | None, *, own: bool = False
    ) -> CodePosterior:
        """Posterior of the codes under the prior."""
        offset = self.network.offset(batch, latent)
        return self.prior.posterior(latent, dense_counts(x), t, dispersion=self.dispersion, offset=offset, own=own)

    def baseline(self, batch: Tensor | None = None) -> Tensor:
        """Pooled composition, ``(genes,)``, or ``(cells, genes)`` with what the cells' batches differ by."""
        if self.network.batch_offset is None or batch is None:
            return self.profile
        return self.profiles[batch.reshape(-1).long()]

    @property
    def profiles(self) -> Tensor:
        """Pooled composition of each batch, ``(batches, genes)``."""
        if self.network.batch_offset is None:
            return self.profile[None]
        return torch.softmax(self.profile.clamp_min(1e-12).log() + self.network.batch_offset[:-1], 1)

    @property
    def _all_believed(self) -> bool:
        """Whether every gene is believed to follow others."""
        return float(self.credibility.min()) == 1.0

    def constant(self, batch: Tensor | None = None) -> Tensor | None:
        """Part of the composition that no cell changes; None if there is none."""
        if self._all_believed:
            return None
        return self.baseline(batch) * (1.0 - self.credibility)

    def signal_share(self, mu: Tensor, t: Tensor, *, shape: Tensor | None = None) -> Tensor:
        """Share ``k_t`` of a deviation from ``mu`` that is signal, ``(cells, genes)``."""
        shape = self.residual_shape if shape is None else shape
        return signal_share(mu, shape, self.technical, noise=t[:, None].square())

    @property
    def technical(self) -> Tensor | None:
        """Technical inverse dispersion, None for Poisson noise."""
        return self.inverse_dispersion if float(self.inverse_dispersion.min()) < MAX_SHAPE else None

    def technical_of(self, genes: Tensor) -> Tensor | None:
        """Technical inverse dispersion of some genes, by number; None for Poisson noise."""
        return None if self.technical is None else self.inverse_dispersion[genes]

    def _own(self, shape: Tensor) -> Tensor:
        """Gamma shape of the variation of its own that a gene has in estimates: as found, or none."""
        return shape if self.residual else torch.full_like(shape, MAX_SHAPE)

    def at_depth(self, mu: Tensor, t: Tensor, *, library: Tensor, batch: Tensor | None = None) -> Tensor:
        """Expectations ``mu`` with each gene's trend with depth."""
        return mu if self.trend.flat else mu * self.trend(library, t, batch=batch)

    def scales(self, x: SparseCounts | Tensor, expected: Tensor, t: Tensor) -> Tensor:
        """Scale of each cell on the shapes of the genes that go along with it, ``(cells,)``.

        Parameters
        ----------
        x
            Counts, or points of a path towards them.
        expected
            Their expectations, at their depth, ``(cells, genes)``; what counts is how they are distributed over genes.
        t
            Times ``(cells,)``.
        """
        if self.cell_scale.even:
            return torch.ones_like(t)
        return self.cell_scale(self.scale_evidence(x, expected, t)).to(expected)

    def _own_shapes(self, x: SparseCounts | Tensor, expected: Tensor, t: Tensor) -> Tensor:
        """Gamma shapes of what genes vary on their own, with the cells' scales: ``(genes,)`` or ``(cells, genes)``."""
        own = self._own(self.residual_shape)
        if self.cell_scale.even or not self.residual:
            return own
        return own * self.cell_scale.factors(self.scales(x, expected, t))

    def _spread(self) -> Tensor:
        """Gamma shapes of what genes vary on their own around what is transported, ``(genes,)``."""
        if not self.prior.fitted:
            return self._own(self.residual_shape)
        return self._own(torch.where(self.credibility > 0, self.prior.residual_shape, self.residual_shape))

    def scale_evidence(self, x: SparseCounts | Tensor, expected: Tensor, t: Tensor) -> Tensor:
        """What genes that are believed say of each cell's scale, see ``CellScale.evidence``."""
        totals = library_sizes(x)
        expected = expected * (totals / expected.sum(1).clamp_min(1e-12))[:, None]
        shape = torch.where(self.credibility > 0, self.residual_shape, MAX_SHAPE)
        return self.cell_scale.evidence(x, expected, shape, t, inverse_dispersion=self.technical)

    def own_likelihood(
        self, x: SparseCounts | Tensor, expected: Tensor, shape: Tensor, *, genes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log-likelihood of each count, and its slope in the shape: see ``CellScale.likelihood``."""
        return self.cell_scale.likelihood(x, expected, shape, genes=genes, inverse_dispersion=self.technical)

    def posterior_shape(self, x: SparseCounts, *, library: Tensor, batch: Tensor | None = None) -> Tensor:
        """Gamma shape of each gene's posterior ``(cells, genes)``: ``x + s alpha`` for Poisson noise."""
        one = torch.ones_like(library)
        mu = library[:, None] * self.rates(x, one, library=library, batch=batch)
        mu = self.at_depth(mu, one, library=library, batch=batch)
        own = self._own_shapes(x, mu, one)
        if self.technical is None:
            return x.dense() + own
        return x.dense() / (1.0 + mu * (1.0 + 1.0 / own) / self.technical) + own

    def combine(
        self,
        x: SparseCounts | Tensor,
        mu: Tensor,
        t: Tensor,
        *,
        library: Tensor,
        batch: Tensor | None = None,
        target_batch: Tensor | None = None,
        moved: Tensor | None = None,
        kind: Literal["mean", "transport"] = "mean",
    ) -> Tensor:
        """Bring network and observation together, gene by gene, at the given library sizes.

        What a cell has beyond its expectation ``mu``, at its depth and in its batch, goes as a ratio with ``moved``,
        the expectation in another batch, if that is given.
        """
        expected = self.at_depth(mu, t, library=library, batch=batch)
        shape = self._spread() if kind == "transport" else self._own_shapes(x, expected, t)
        share = self.signal_share(expected, t, shape=shape)
        if kind == "transport":
            share = share.sqrt()
        elif not self._all_believed:
            alone = (self.credibility == 0.0).nonzero()[:, 0]
            own, technical, noise = self._own(self.residual_shape)[alone], self.technical_of(alone), t[:, None].square()
            typical = signal_share(self.typical[alone], own, technical, noise=noise)
            share[:, alone] = even_share(share[:, alone], typical)
        moved = mu if moved is None else moved
        ratio = None if moved is expected else moved / expected.clamp_min(1e-20)
        if self.residual:
            far = find_outlying(x, expected, shape, t, inverse_dispersion=self.technical)
            share = far.into(share, far.share)
            if ratio is not None:  # a trend of counts that are not of its kind is none of theirs
                ratio = far.into(ratio, (moved / mu.clamp_min(1e-20))[far.rows, far.columns])
        kept = dense_counts(x) * share
        if ratio is not None:
            kept *= ratio
        varies = None if self._all_believed else self.credibility
        return _filled(kept, moved, share, library=library, varies=varies)

    def forward(
        self,
        x: SparseCounts | Tensor,
        t: float | Tensor,
        *,
        library: Tensor | None = None,
        batch: Tensor | None = None,
        target_batch: Tensor | None = None,
        kind: Literal["mean", "transport"] = "mean",
    ) -> Tensor:
        """Expected counts ``(cells, genes)``.

        Parameters
        ----------
        x
            Counts, or points of a path towards them.
        t
            Times in [0, 1], one for all or ``(cells,)``.
        library
            Library sizes ``(cells,)``; the sums of ``x`` if not given.
        batch, target_batch
            Batch codes of the cells, and the batch to express the result in; the number of batches stands for their
            average.
        kind
            Posterior mean, or its distribution-keeping counterpart.
        """
        given = x.values if isinstance(x, SparseCounts) else x
        cells = x.num_cells if isinstance(x, SparseCounts) else x.shape[0]
        times = batch_times(t, given.new_empty(cells, 1))
        if library is None:
            library = library_sizes(x)
        mu = library[:, None] * self.rates(x, times, library=library, batch=batch, kind=kind)
        moved = None
        if target_batch is not None:
            moved = self._moved(mu, batch, target_batch)
        out = self.combine(
            x, mu, times, library=library, batch=batch, target_batch=target_batch, moved=moved, kind=kind
        )
        if bool((times > 0).all()):
            return out
        # an exact identity at t = 0, beyond what rounding of the rescaling leaves
        return torch.where(times[:, None] > 0, out, dense_counts(x))


def _filled(kept: Tensor, mu: Tensor, share: Tensor, *, library: Tensor, varies: Tensor | None) -> Tensor:
    """What is kept of the counts, filled up to the library size with the expectation, ``(1 - share) mu``.

    Genes that do not vary with others stay as they are. The rest takes what is left, so that a gene that has most of
    its counts from the observation does not make room for what others were expected to have.
    """
    expected = torch.addcmul(mu, mu, share, value=-1.0)
    have, total = kept.sum(1), expected.sum(1)
    free = total if varies is None else expected @ varies
    room = library - (total - free)
    scale = ((room - have + LEVEL) / (free + LEVEL)).clamp(*FILL)
    level = (room / (have + scale * free).clamp_min(1e-12))[:, None]
    scale = scale[:, None] * level
    factor = scale if varies is None else torch.where(varies > 0, scale, 1.0)
    return kept.mul_(level).addcmul_(expected, factor)
