"""The network behind the count model: from a cell's counts to log-rates over genes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scif.counts.data.sparse_counts import SparseCounts, library_sizes
from scif.counts.encoder import EncoderFactory, begin_at_zero, make_encoder, residual_encoder
from scif.counts.likelihood import decoded_nll
from scif.counts.posterior.parameters import Loadings

__all__ = ["CountNetwork", "CountStart"]


@dataclass(frozen=True)
class CountStart:
    """Where training starts: a truncated SVD of log-normalised counts.

    Attributes
    ----------
    components
        Right singular vectors, ``(genes, k)``.
    center, spread
        Mean and standard deviation of the cells' scores, ``(k,)``.
    reliability
        Share of the scores' variance that is signal, ``(k,)``, in [0, 1].
    profile
        Pooled composition over genes, ``(genes,)``, summing to one; zero for genes that were never counted.
    depth
        Library size that counts are brought to before the logarithm.
    """

    components: Tensor
    center: Tensor
    spread: Tensor
    reliability: Tensor
    profile: Tensor
    depth: float


class CountNetwork(nn.Module):
    r"""Log-rates over genes from the scores of a truncated SVD, refined by a small residual network.

    With counts :math:`y = x \exp(-o_{\text{batch}})` from which the batch's factors are taken, their library size
    ``L``, scores :math:`f = (\log(1 + d y / L) V - m) / s` and time ``t``,

    .. math:: z = [\lambda f, 0] + \mathrm{MLP}(f, t), \qquad \log \rho = \mathrm{const} + b + o_{\text{batch}} + W z.

    Offsets :math:`o` are fixed before training (:func:`~scif.counts.stages.batches.fit_batches`); the latent factors
    know nothing of the batch.

    ``W`` and :math:`\lambda` begin where a reliability-weighted SVD reconstruction is to first order, so that
    training improves on that instead of on the pooled profile. Only ``W`` is as wide as the genes, and its input is
    narrow; the first layer works on stored entries alone.

    Parameters
    ----------
    num_genes, width
        Number of genes, and of SVD components.
    extra
        Additional free directions of the output layer.
    num_batches
        Number of batches; each has an offset per gene. One row more, of zeros, stands for the average batch.
    encoder
        Called with the numbers of inputs and of outputs; returns the residual network.
    """

    components: Tensor
    center: Tensor
    spread: Tensor
    depth: Tensor
    batch_offset: Tensor | None
    batch_present: Tensor

    def __init__(
        self,
        num_genes: int,
        width: int,
        *,
        extra: int = 8,
        num_batches: int = 1,
        encoder: EncoderFactory = residual_encoder,
    ) -> None:
        super().__init__()
        self.num_genes, self.width, self.extra, self.num_batches = num_genes, width, extra, num_batches
        self.register_buffer("components", torch.zeros(num_genes, width))
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("depth", torch.tensor(1.0))
        offset = torch.zeros(num_batches + 1, num_genes) if num_batches > 1 else None
        self.register_buffer("batch_offset", offset)
        self.register_buffer("batch_present", torch.ones(num_batches, dtype=torch.bool))
        self.shrinkage = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(num_genes))
        self.loadings = nn.Parameter(torch.zeros(num_genes, width + extra))
        self.mlp = make_encoder(encoder, width + 2, width + extra)
        begin_at_zero(self.mlp, rows=width)  # the start is the SVD's; the free directions have zero loadings

    @torch.no_grad()
    def start_from(self, start: CountStart, *, max_gain: float = 5.0, damping: float = 0.8) -> None:
        """Begin at a truncated SVD.

        Parameters
        ----------
        start
            The decomposition.
        max_gain
            Bound on the slope of the log-rate per unit of log-normalised expression, ``(1 + m) / m`` at the mean
            expression ``m``: unbounded for genes that are hardly expressed.
        damping
            Factor on all slopes: an exponential overshoots where the SVD is linear. Both defaults are near the best
            on held-out molecules of shallow and of deep data alike.
        """
        self.components.copy_(start.components)
        self.center.copy_(start.center)
        self.spread.copy_(start.spread)
        self.depth.fill_(start.depth)
        self.shrinkage.copy_(start.reliability)
        self.bias.copy_(start.profile.clamp_min(1e-12).log())
        mean = (start.depth * start.profile).clamp_min(1e-12)
        gain = ((1.0 + mean) / mean).clamp_max(max_gain)
        self.loadings[:, : self.width] = start.components * gain[:, None] * start.spread * damping
        self.loadings[:, self.width :] = 0.0

    @torch.no_grad()
    def set_batches(self, offset: Tensor, present: Tensor) -> None:
        """Fix the offsets of batches ``(batches, genes)``, and which batches have cells ``(batches,)``."""
        if self.batch_offset is not None:
            self.batch_offset[:-1] = offset
            self.batch_present.copy_(present)

    def scores(self, x: SparseCounts | Tensor, library: Tensor, *, batch: Tensor | None = None) -> Tensor:
        """Standardised SVD scores ``(cells, k)`` of counts, sparse or dense, without what their batches add.

        Parameters
        ----------
        x
            Counts ``(cells, genes)``.
        library
            Library sizes ``(cells,)``.
        batch
            Batch codes ``(cells,)``; zeros if not given.
        """
        if self.batch_offset is not None:
            x, share = self._without_offset(x, batch_codes(batch, library))
            library = library * share
        scale = self.depth / library.clamp_min(1e-6)
        if isinstance(x, SparseCounts):
            raw = x.with_values(torch.log1p(x.values * scale[x.rows])).matmul(self.components)
        else:
            raw = torch.log1p(x * scale[:, None]) @ self.components
        return (raw - self.center) / self.spread

    def _without_offset(self, x: SparseCounts | Tensor, batch: Tensor) -> tuple[SparseCounts | Tensor, Tensor]:
        """Counts divided by the factors of their batches, and the share of each cell's sum that is left."""
        assert self.batch_offset is not None
        factor, before = torch.exp(-self.batch_offset), library_sizes(x)
        if isinstance(x, SparseCounts):
            out: SparseCounts | Tensor = x.with_values(x.values * factor[batch[x.rows], x.columns])
        else:
            out = x * factor[batch]
        return out, library_sizes(out) / before.clamp_min(1e-12)

    def forward(
        self,
        x: SparseCounts | Tensor,
        t: Tensor,
        *,
        library: Tensor,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Logits ``(cells, genes)``.

        Parameters
        ----------
        x
            Counts, or points of a path, of ``(cells, genes)``.
        t
            Times ``(cells,)``.
        library
            Library sizes ``(cells,)``.
        batch
            Batch codes ``(cells,)``; zeros if not given.
        """
        z = self.latent(x, t, library=library, batch=batch)
        return self.decode(z, self.offset(batch, z))

    def decode(self, z: Tensor, offset: Tensor | None, *, loadings: Loadings | None = None) -> Tensor:
        """Logits ``(cells, genes)`` of latent factors ``(cells, k + extra)``, by other loadings if given."""
        return (self.output if loadings is None else loadings).logits(z, offset)

    @property
    def output(self) -> Loadings:
        """The output layer."""
        return Loadings(self.loadings, self.bias)

    @property
    def batch_offsets(self) -> Tensor | None:
        """Offsets of the batches on the log-rates, ``(batches, genes)``; None if there is one batch."""
        return None if self.batch_offset is None else self.batch_offset[:-1]

    def nll(self, z: Tensor, counts: SparseCounts, *, batch: Tensor | None = None) -> Tensor:
        """Nats per molecule of counts given latent codes ``(cells, k + extra)``, a scalar."""
        loadings: Tensor = self.loadings
        if self.batch_offset is not None:
            own = nn.functional.one_hot(batch_codes(batch, z), self.num_batches).to(z.dtype)
            z, loadings = torch.cat([z, own], 1), torch.cat([loadings, self.batch_offset[:-1].T], 1)
        return decoded_nll(z, loadings, self.bias, counts)

    def offset(self, batch: Tensor | None, like: Tensor) -> Tensor | None:
        """Offsets of the cells' batches on the log-rates, ``(cells, genes)``; None if there are no batches."""
        if self.batch_offset is None:
            return None
        return self.batch_offset[batch_codes(batch, like)]

    def latent(self, x: SparseCounts | Tensor, t: Tensor, *, library: Tensor, batch: Tensor | None = None) -> Tensor:
        """The latent code ``(cells, k + extra)`` that the output layer sees."""
        f = self.scores(x, library, batch=batch)
        # how far to believe the scores depends on how many molecules they are of
        depth = (library.clamp_min(1e-6) / self.depth).log().clamp(-3.0, 3.0)
        inputs = [f, t[:, None].to(f.dtype), depth[:, None].to(f.dtype)]
        z: Tensor = self.mlp(torch.cat(inputs, 1))
        return z + nn.functional.pad(f * self.shrinkage, (0, self.extra))


def batch_codes(batch: Tensor | None, like: Tensor) -> Tensor:
    """Batch codes ``(cells,)``, zeros if there are none."""
    if batch is None:
        return torch.zeros(like.shape[0], dtype=torch.long, device=like.device)
    return batch.reshape(-1).long()
