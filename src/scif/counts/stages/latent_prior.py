"""The distribution of latent codes before noise, with the loadings that belong to it, by expectation maximisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from scif.counts.data.dataset import CountBatch, numbered
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.posterior.laplace import CodeLikelihood, climb, information, look, release
from scif.counts.posterior.latent import MAX_SHAPE, CodePosterior, CodePrior, posterior
from scif.counts.stages.loadings import WhitenedCodes
from scif.counts.statistics.gene_regression import GeneRegressions
from scif.counts.statistics.mixture import BLOCK, CELLS, Mixture
from scif.counts.statistics.shrinkage import loosen, second_moment, shrink
from scif.parallel import spread

__all__ = ["fit_code_prior"]

#: Cells at the least: of fewer the prior is more often wrong than of use.
FEWEST = 40
#: Rounds of codes and loadings, and of the mixture at the first of them and at the later ones.
ROUNDS, FIRST, LATER = 4, 20, 10
#: Rounds of the loadings' prior at each of them: it goes on from where it was.
PRIOR_ROUNDS = 2
#: Least information on a direction, whose prior has variance one, at the first round and later, when noise of the
#: loadings has been taken off. The network's own loadings underrate a weak direction.
INFORMED = (0.2, 0.0)


@dataclass(frozen=True)
class Codes:
    """What is known of the cells.

    Attributes
    ----------
    z
        Likely codes, ``(n, k)``.
    molecules
        ``(n,)``.
    group
        How far each cell belongs to each group of cells with like codes, ``(n, groups)``; rows sum to one.
    information
        On the codes per molecule, average of each group, ``(groups, k, k)``.
    noise
        Part of it that noise of the loadings accounts for, ``(k, k)``.
    """

    z: Tensor
    molecules: Tensor
    group: Tensor
    information: Tensor
    noise: Tensor

    def of(self, member: Tensor) -> Tensor:
        """Information per molecule, averaged over the members ``(n, c)`` of each component, ``(c, k, k)``.

        See :func:`_looked` for why noise is added.
        """
        share = member.T @ self.group / (member.sum(0) + 1e-6)[:, None]
        return torch.einsum("cg,gij->cij", share, self.information) + self.noise

    def informed(self, *, least: float) -> Tensor:
        """Directions ``(k, kept)`` about which an average cell's counts say more than ``least``; there may be none.

        Noise of the loadings says nothing. The best known of these, if they are more than one for
        :data:`~scif.counts.statistics.mixture.CELLS` cells.
        """
        share = self.molecules @ self.group / len(self.z)
        strength, axes = torch.linalg.eigh(torch.einsum("g,gij->ij", share, self.information - self.noise))
        kept = min(int((strength > least).sum()), len(self.z) // CELLS)
        return axes[:, len(axes) - kept :]

    def along(self, axes: Tensor) -> Codes:
        """In these directions alone."""
        information, noise = (axes.T @ part @ axes for part in (self.information, self.noise))
        return Codes(self.z @ axes, self.molecules, self.group, information, noise)


@dataclass(frozen=True)
class Decoder:
    """Loadings ``(genes, k)`` and biases ``(genes,)``."""

    loadings: Tensor
    bias: Tensor

    def moved(self, mean: Tensor, root: Tensor) -> Decoder:
        """The same log-rates of codes ``z`` given as ``mean + root z``."""
        return Decoder(self.loadings @ root, self.bias + self.loadings @ mean)

    def along(self, axes: Tensor) -> Decoder:
        """Of codes in these directions alone."""
        root = axes.to(self.loadings)
        return self.moved(root.new_zeros(len(root)), root)


@torch.no_grad()
def fit_code_prior(
    model: CountConsistency,
    cells: Callable[[], Iterable[CountBatch]],
    *,
    at: WhitenedCodes,
    generator: torch.Generator,
) -> Tensor | None:
    r"""Fit :class:`~scif.counts.posterior.latent.CodePrior` to counts; the network stays as it is.

    A network's codes are shrunk and blurred by noise. Each round looks at the likelihood of every cell's counts
    around the present guess of its code, drops directions about which the counts say nothing (and the least known of
    the others, where cells are few), fits the mixture by extreme deconvolution, draws codes from their posteriors, and
    takes a Newton step of the loadings given the draws: draws, unlike means, are as spread out as the codes themselves,
    so that loadings do not make up for what their codes lack. Codes, in turn, do not take noise of the loadings for
    signal: what is not known of loadings is carried into what is known of codes, as in variational principal
    components. Loadings are kept twice: as posterior means for the mean, and loosely shrunk for the transport, which
    would lack variance otherwise.

    Parameters
    ----------
    model
        The denoiser, trained, with the variation of its genes.
    cells
        Gives minibatches of counts, as often as asked, always the same cells in the same order.
    at
        The network's codes of these cells.
    generator
        Source of randomness, of the CPU.

    Returns
    -------
    Codes of the cells, drawn from their posteriors, ``(cells, k)``; None, and no prior, if cells are fewer than
    :data:`FEWEST` or differ by no more than noise.

    References
    ----------
    Variational principal components: :cite:t:`bishop1999variational`.
    """
    network = model.network
    if len(at.latent) < FEWEST or at.whiten.shape[1] == 0:
        return None
    z, member = at.coordinates().cpu().double(), at.group.cpu().double()
    loose = Decoder(network.loadings, network.bias).moved(at.centre, at.unwhiten)
    tight, mixture, prior = loose, None, second_moment(loose.loadings).cpu().double()
    noise = torch.zeros_like(prior)
    for round_ in range(ROUNDS + 1):
        codes = _looked(model, cells, z, loose, group=member, noise=noise)
        kept = codes.informed(least=INFORMED[min(round_, 1)])
        if kept.shape[1] == 0:
            return None
        if kept.shape[1] < len(kept):
            z, codes, tight, loose = z @ kept, codes.along(kept), tight.along(kept), loose.along(kept)
            prior = kept.T @ prior @ kept
            mixture = None if mixture is None else mixture.along(kept)
        if mixture is None:
            mixture, member = Mixture.clusters(z)
        for _ in range(LATER if round_ else FIRST):
            mixture, member = mixture.improved(codes.z, codes.molecules, codes.of(member))
        axes = mixture.axes(codes.of(member))
        found = posterior(codes.z, codes.molecules, **axes)
        z = found.mean()
        if round_ == ROUNDS:
            break
        drawn = found.draw(axes["root"], generator).to(loose.loadings)
        last = round_ == ROUNDS - 1
        tight, loose, prior, noise = _regressed(model, cells, drawn, loose, group=member, prior=prior, both=last)
        # the scale of the codes is free: their prior has mean zero and covariance one
        mean, root, back = mixture.standard()
        tight, loose = (decoder.moved(*(p.to(loose.bias) for p in (mean, root))) for decoder in (tight, loose))
        prior, noise = root @ prior @ root, root @ noise @ root / codes.molecules.sum()
        z = (z - mean) @ back
        mixture = mixture.moved(mean, back)
    assert mixture is not None  # there is at least one round
    _store(model.prior, mixture, axes, found, at.latent.cpu().double(), z, tight, loose, codes.noise)
    drawn = found.draw(axes["root"], generator).to(loose.bias)
    return torch.nn.functional.pad(drawn, (0, model.prior.centre.shape[1] - drawn.shape[1]))


def _looked(
    model: CountConsistency,
    cells: Callable[[], Iterable[CountBatch]],
    z: Tensor,
    decoder: Decoder,
    *,
    group: Tensor,
    noise: Tensor,
) -> Codes:
    """A Newton step from the guesses ``z`` of cells that belong to groups ``(n, groups)``.

    Of loadings ``w`` with mean ``m`` and covariance ``V`` the information on codes has the mean of ``w w'``, which is
    ``m m' + V``, and the slope that of ``w``: ``noise (k, k)``, the sum of ``V`` per molecule, holds codes back.
    """

    def seen(cell: tuple[CountBatch, slice]) -> tuple[Tensor, Tensor, Tensor]:
        here, rows = cell
        at = _look(model, here, z[rows].to(decoder.bias), decoder)
        totals = here.x.totals()
        return at.slope(decoder.loadings), totals, (group[rows].to(totals) / totals[:, None]).T @ at.weight

    slopes, totals, weights = zip(*spread(seen, numbered(cells(), model.device), on=model.device), strict=True)
    slope, molecules = (torch.cat(parts).cpu().double() for parts in (slopes, totals))
    weight = torch.stack(weights).sum(0) / group.sum(0).to(decoder.bias).clamp_min(1e-6)[:, None]
    known = information(weight, decoder.loadings).cpu().double()

    def climbed(start: int) -> Tensor:
        some = slice(start, start + BLOCK)
        curvature = molecules[some, None, None] * (torch.einsum("ng,gij->nij", group[some], known) + noise)
        return release(climb(z[some], slope[some], curvature), curvature)

    peak = torch.cat(list(spread(climbed, range(0, len(z), BLOCK), on=z.device)))
    return Codes(peak, molecules, group, known, noise)


def _regressed(
    model: CountConsistency,
    cells: Callable[[], Iterable[CountBatch]],
    drawn: Tensor,
    decoder: Decoder,
    *,
    group: Tensor,
    prior: Tensor,
    both: bool,
) -> tuple[Decoder, Decoder, Tensor, Tensor]:
    """Loadings given codes, as posterior means if both are asked for and loosely shrunk, their prior, and noise."""
    loadings, bias = decoder.loadings, decoder.bias
    sums = GeneRegressions(loadings, drawn, group)

    def seen(cell: tuple[CountBatch, slice]) -> tuple[slice, CodeLikelihood]:
        here, rows = cell
        return rows, _look(model, here, drawn[rows], decoder)

    for rows, at in spread(seen, numbered(cells(), model.device), on=model.device):
        sums.add(rows, at.weight, at.rest)
    better = sums.learn_prior(guess=prior, rounds=PRIOR_ROUNDS)
    found = []
    for how in (shrink, loosen) if both else (loosen,):
        change = sums.change(how, prior=better)
        found.append(Decoder(loadings + change, bias + sums.bias_change(change)))
    return found[0], found[-1], better.covariance.double(), sums.noise(prior=better).double()


def _look(model: CountConsistency, cell: CountBatch, codes: Tensor, decoder: Decoder) -> CodeLikelihood:
    """Likelihood of the counts of a few cells near codes ``(cells, k)``."""
    offset = model.network.offset(cell.batch, codes)
    counts, dispersion = cell.x.dense(), model.dispersion
    return look(counts, codes, decoder.loadings, decoder.bias, dispersion=dispersion, offset=offset)


def _store(
    prior: CodePrior,
    mixture: Mixture,
    axes: dict[str, Tensor],
    found: CodePosterior,
    latent: Tensor,
    z: Tensor,
    tight: Decoder,
    loose: Decoder,
    noise: Tensor,
) -> None:
    """Put everything into the module; what it has more of, components or width, stays without effect."""
    count, k = mixture.centre.shape
    inputs = torch.cat([latent, torch.ones_like(latent[:, :1])], 1)
    ridge = 1e-4 * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    entry = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ z)
    for buffer in prior.buffers():
        buffer.zero_()
    eye = torch.eye(prior.centre.shape[1], dtype=prior.root.dtype, device=prior.root.device)
    for maps in (prior.root, prior.unroot, prior.stretch):
        maps.copy_(eye.expand_as(maps))
    prior.log_weights.fill_(-torch.inf)
    prior.residual_shape.fill_(MAX_SHAPE)
    prior.is_fitted.fill_(True)
    prior.log_weights[:count] = axes["log_weights"].to(prior.bias)
    prior.entry[:, :k] = entry.to(prior.bias)
    prior.centre[:count, :k] = mixture.centre.to(prior.bias)
    for name in ("root", "unroot"):
        getattr(prior, name)[:count, :k, :k] = axes[name].to(prior.bias)
    prior.information[:count, :k] = axes["information"].to(prior.bias)
    prior.stretch[:count, :k, :k] = mixture.stretch(found).to(prior.bias)
    prior.noise[:k, :k] = noise.to(prior.bias)
    prior.loadings[:, :k], prior.bias[:] = tight.loadings, tight.bias
    prior.loose_loadings[:, :k], prior.loose_bias[:] = loose.loadings, loose.bias
