"""What latent codes are like before noise: a mixture of normals, and each cell's posterior under it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scif.counts.posterior.laplace import climb, information, look, release

__all__ = ["CodePosterior", "CodePrior", "posterior"]

#: Residual shape of a gene that the network explains fully.
MAX_SHAPE = 1e6
#: Components of the mixture, where there are enough cells.
COMPONENTS = 16
#: Smallest time at which a path's point is told from the observation; below it there is hardly any noise.
MIN_TIME = 0.05


@dataclass(frozen=True)
class CodePosterior:
    """Mixture of normals over the code of each cell.

    Attributes
    ----------
    weights
        Of the components, ``(cells, components)``.
    means
        Mean of each component, ``(cells, components, k)``.
    variances
        Variances along the component's own axes ``root``, ``(cells, components, k)``.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    def mean(self) -> Tensor:
        """Posterior mean of the codes, ``(cells, k)``."""
        return torch.einsum("nc,nck->nk", self.weights, self.means)

    def draw(self, root: Tensor, generator: torch.Generator) -> Tensor:
        """One draw for each cell, ``(cells, k)``.

        Parameters
        ----------
        root
            The prior's, ``(components, k, k)``.
        generator
            Source of randomness.
        """
        which = torch.multinomial(self.weights, 1, generator=generator)[:, 0]
        n, k = len(which), root.shape[1]
        cells = torch.arange(n, device=which.device)
        noise = torch.randn(n, k, generator=generator, dtype=root.dtype, device=root.device)
        scaled = self.variances[cells, which].sqrt() * noise
        return self.means[cells, which] + torch.einsum("nka,na->nk", root[which], scaled)


class CodePrior(nn.Module):
    r"""Distribution of the latent codes of clean signals, :math:`z \sim \sum_c \pi_c N(m_c, S_c)`.

    It is deconvolved: put through the decoder and the noise channel it gives the observed counts back, as the prior
    that inverse consistency asks for :cite:p:`zhang2025inverse`. Near a guess of a cell's code its log-likelihood is
    a parabola whose curvature is the cell's library size times its component's average information ``F_c`` per
    molecule (that of the loadings' mean and that of their ``noise``), so that posteriors are mixtures of normals, too.
    With :math:`S_c = R_c R_c^\top` and :math:`R_c^\top F_c R_c` diagonal they cost no more than a few narrow products.
    Fitted by ``scif.model.ICM`` when training is over; until then ``fitted`` is false.

    Parameters
    ----------
    genes
        Number of genes.
    k
        Width of the network's code, and most directions that the codes here can have.

    References
    ----------
    Extreme deconvolution: :cite:t:`bovy2011extreme`.

    Examples
    --------
    >>> from scif.counts.posterior.latent import CodePrior
    >>> CodePrior(genes=5, k=2).fitted
    False
    """

    is_fitted: Tensor
    entry: Tensor
    loadings: Tensor
    bias: Tensor
    loose_loadings: Tensor
    loose_bias: Tensor
    log_weights: Tensor
    centre: Tensor
    root: Tensor
    unroot: Tensor
    information: Tensor
    noise: Tensor
    stretch: Tensor
    residual_shape: Tensor

    def __init__(self, genes: int, k: int) -> None:
        super().__init__()
        eye = torch.eye(k).expand(COMPONENTS, k, k)
        self.register_buffer("is_fitted", torch.tensor(False))
        self.register_buffer("entry", torch.zeros(k + 1, k))
        self.register_buffer("loadings", torch.zeros(genes, k))
        self.register_buffer("bias", torch.zeros(genes))
        self.register_buffer("loose_loadings", torch.zeros(genes, k))
        self.register_buffer("loose_bias", torch.zeros(genes))
        self.register_buffer("log_weights", torch.full((COMPONENTS,), -torch.inf))
        self.register_buffer("centre", torch.zeros(COMPONENTS, k))
        self.register_buffer("root", eye.clone())
        self.register_buffer("unroot", eye.clone())
        self.register_buffer("information", torch.zeros(COMPONENTS, k))
        self.register_buffer("noise", torch.zeros(k, k))
        self.register_buffer("stretch", eye.clone())
        self.register_buffer("residual_shape", torch.full((genes,), MAX_SHAPE))

    @property
    def fitted(self) -> bool:
        """Whether there is anything to use."""
        return bool(self.is_fitted)

    def posterior(
        self,
        latent: Tensor,
        counts: Tensor,
        t: Tensor,
        *,
        dispersion: Tensor,
        offset: Tensor | None,
        own: bool = False,
    ) -> CodePosterior:
        """Posterior of each cell's code.

        Parameters
        ----------
        latent
            The network's code, ``(cells, k)``, from which a Newton step leads to the likelihood's peak.
        counts
            Observed counts or points of a path towards them, ``(cells, genes)``.
        t
            Times ``(cells,)``: at less than one there is less noise.
        dispersion
            Dispersion of each gene beyond Poisson noise, ``(genes,)``.
        offset
            What the cells' batches add to the log-rates, ``(cells, genes)``; None if there are no batches.
        own
            Whether the Newton step takes each cell's own information instead of the average of its component. Posterior
            means are as good with the average, for half the time; codes that are to be as spread out as the prior
            are nearer to that with their own.
        """
        z = latent @ self.entry[:-1] + self.entry[-1]
        sharper = t.clamp_min(MIN_TIME).square().reciprocal()
        at = look(counts, z, self.loose_loadings, self.loose_bias, dispersion=dispersion, offset=offset)
        axes = {name: getattr(self, name) for name in ("log_weights", "centre", "root", "unroot", "information")}
        molecules = counts.sum(1)
        if own:
            curvature = information(at.weight, self.loose_loadings) + molecules[:, None, None] * self.noise
        else:
            per_molecule = self.unroot.mT @ (self.information[:, :, None] * self.unroot)
            weights = posterior(z, molecules, **axes).weights
            curvature = molecules[:, None, None] * torch.einsum("nc,cij->nij", weights, per_molecule)
        z = climb(z, at.slope(self.loose_loadings), curvature)
        return posterior(release(z, curvature), molecules * sharper, **axes)

    def transported(self, found: CodePosterior) -> Tensor:
        """Codes ``(cells, k)`` that are distributed as the prior: optimal transport within each component.

        Parameters
        ----------
        found
            Posterior of the cells' codes.
        """
        moved = self.centre + torch.einsum("cij,ncj->nci", self.stretch, found.means - self.centre)
        return torch.einsum("nc,nck->nk", found.weights, moved)

    def logits(self, codes: Tensor, *, offset: Tensor | None, loose: bool) -> Tensor:
        """Log-rates ``(cells, genes)`` of codes.

        Parameters
        ----------
        codes
            ``(cells, k)``.
        offset
            What the cells' batches add, ``(cells, genes)``; None if there are no batches.
        loose
            Whether by loosely shrunk loadings, which keep the variance, instead of posterior means.
        """
        loadings, bias = (self.loose_loadings, self.loose_bias) if loose else (self.loadings, self.bias)
        out = torch.addmm(bias, codes, loadings.T)
        return out if offset is None else out + offset


def posterior(
    z: Tensor,
    molecules: Tensor,
    *,
    log_weights: Tensor,
    centre: Tensor,
    root: Tensor,
    unroot: Tensor,
    information: Tensor,
) -> CodePosterior:
    """Posterior under the mixture of codes whose likelihood has its peak at ``z``, see ``CodePrior``."""
    along = torch.einsum("cak,nck->nca", unroot, z[:, None] - centre)  # in the component's own axes
    precision = molecules[:, None, None] * information
    variances = 1.0 / (1.0 + precision)
    there = precision * along * variances
    evidence = 0.5 * (variances.log() - along * there).sum(2)
    means = centre + torch.einsum("cka,nca->nck", root, there)
    return CodePosterior(torch.softmax(evidence + log_weights, 1), means, variances)
