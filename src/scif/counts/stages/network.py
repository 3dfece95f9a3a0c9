"""Training the count model: the core's engine on sparse minibatches, judged by held-out molecules."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from scif.core import Engine
from scif.core.noise import NegativeBinomial, NoiseModel
from scif.core.objective import LossOutput, Objective, SumObjective
from scif.counts.data.dataset import CountBatch, GatheredCounts
from scif.counts.objective import CountAnchor, CountICM
from scif.counts.posterior.consistency import CountConsistency
from scif.counts.stages.cell_scale import expectations, fit_cell_scale
from scif.counts.stages.depth_trend import trend_of_the_rest
from scif.counts.stages.dispersion import drawn_variation, few, fit_variation, passes
from scif.counts.stages.gene_totals import keep_totals
from scif.counts.stages.latent_prior import fit_code_prior
from scif.counts.stages.loadings import WhitenedCodes, refit_loadings, whiten_codes
from scif.counts.stages.shared_genes import fit_credibility

__all__ = ["CountPlan"]


class CountPlan(Engine):
    """Anchor plus inverse consistency on counts.

    Parameters
    ----------
    module
        The denoiser; after training it holds the best averaged weights.
    noise
        Channel of the counts.
    reference
        Cells from which each gene's own variation is estimated.
    cells
        Gives minibatches of all cells, or of many, from which each gene's credibility is estimated.
    technical
        Technical inverse dispersion, if known.
    profile
        Pooled composition over genes of all cells, ``(genes,)``.
    anchor_weight, consistency_weight
        Weights of both terms.
    num_steps
        Time steps of a consistency term that is trained by gradients; if not given there is such a term without an
        anchor alone, with one step, and consistency is brought in by the prior of the codes after training.
    lr, weight_decay, ema_decay, seed
        As for :class:`scif.core.Engine`.
    """

    model: CountConsistency

    def __init__(
        self,
        module: CountConsistency,
        *,
        noise: NoiseModel,
        reference: list[CountBatch],
        cells: Callable[[], Iterable[CountBatch]],
        technical: Tensor | float | None,
        profile: Tensor,
        anchor_weight: float = 1.0,
        consistency_weight: float = 1.0,
        num_steps: int | None = None,
        lr: float = 8e-3,
        weight_decay: float = 0.01,
        ema_decay: float = 0.98,
        seed: int = 0,
    ) -> None:
        by_gradient = num_steps is not None or anchor_weight == 0
        parts: dict[str, tuple[Objective, float]] = {}
        if anchor_weight > 0:
            parts["anchor"] = (CountAnchor(), anchor_weight)
        if by_gradient and consistency_weight > 0:
            parts["icm"] = (CountICM(noise, num_steps=num_steps or 1), consistency_weight)
        before = copy.deepcopy(module.state_dict())
        module.prior_share.zero_()  # until training is over
        module.prior.is_fitted.fill_(False)
        module.cell_scale.spread.zero_()
        module.profile.copy_(profile)
        module.credibility.fill_(1.0)
        module.trend.slope.zero_()
        module.trend.bias.zero_()
        super().__init__(
            module,
            SumObjective(parts),
            lr=lr,
            weight_decay=weight_decay,
            warmup_steps=20,
            ema_decay=ema_decay,
            ema_teacher=True,
            seed=seed,
        )
        self._before = before
        self.noise, self.reference, self.technical = noise, reference, technical
        self.cells, self.anchored = cells, anchor_weight > 0
        self.prior_share = 0.0 if by_gradient else consistency_weight / (consistency_weight + anchor_weight)
        self._best: tuple[float, dict[str, Tensor]] | None = None
        self._held_out: list[tuple[Tensor, int]] = []

    @property
    def averaged(self) -> CountConsistency:
        """The moving average of the denoiser."""
        return cast("CountConsistency", super().averaged)

    def loss(self, batch: CountBatch, model: Any, *, generator: torch.Generator | None) -> LossOutput:
        """Both terms on one minibatch."""
        return self.objective(
            model,
            batch.x,
            teacher=self.averaged,
            generator=generator,
            batch=batch.batch,
            ratio=batch.ratio,
            parts=batch.parts,
        )

    def validation_step(self, batch: CountBatch, batch_idx: int) -> None:
        """Poisson loss of the held-out molecules under the averaged model; nothing is drawn."""
        held_out = batch.held_out
        if held_out is None:
            return
        totals = batch.x.totals()
        mu = totals[:, None] * self.averaged.rates(
            batch.x, torch.ones_like(totals), library=batch.library, batch=batch.batch
        )
        # Molecules of one cell share what is technical, so that here all of a gene's own variation counts.
        shape = 1.0 / self.averaged.dispersion
        mean = torch.lerp(mu, batch.x.dense(), mu / (mu + shape))
        mean = mean * (held_out.totals() / mean.sum(1).clamp_min(1e-6))[:, None]
        at_molecules = mean[held_out.rows, held_out.columns]
        loss = mean.sum() - (held_out.values * (at_molecules + 1e-6).log()).sum()
        self._held_out.append((loss, mean.numel()))

    def on_validation_epoch_end(self) -> None:
        """Log the loss per entry of held-out molecules, and remember the best weights."""
        if not self._held_out:
            return
        losses = torch.stack([loss for loss, _ in self._held_out]).sum()
        entries = torch.tensor(sum(entries for _, entries in self._held_out), device=self.device)
        self._held_out.clear()
        # every process sees a part of the cells, and all must keep the same weights
        losses, entries = (self.trainer.strategy.reduce(x, reduce_op="sum") for x in (losses, entries))
        value = float(losses) / int(entries)
        self.log("validation_loss", value, prog_bar=True)
        if self._best is None or value < self._best[0]:
            self._best = (value, copy.deepcopy(self.averaged.state_dict()))

    def give_up(self) -> None:
        """Leave the module as it was before."""
        self.model.load_state_dict(self._before)
        self.model.eval()

    def on_train_end(self) -> None:
        """Leave the best averaged weights in the module."""
        self.finish()

    def finish(self) -> None:
        """Put the best averaged weights seen so far into the module, and estimate what is left for them."""
        if int(self.ema.n_averaged) == 0:
            return
        self.model.load_state_dict(self.averaged.state_dict() if self._best is None else self._best[1])
        self.model.eval()
        self.ema.module.load_state_dict(self.model.state_dict())
        self.refit()
        rng = np.random.default_rng(self.seed)
        gathered = GatheredCounts.of(self._whole_cells())
        credibility = fit_credibility(self.model, self._whole_cells(), gathered=gathered, rng=rng)
        self.model.credibility.copy_(credibility)
        trend_of_the_rest(self.model, gathered).put_into(self.model.trend)
        del gathered  # what follows needs the memory; to put them together again takes next to no time
        if self.anchored:
            at = whiten_codes(self.model, self._whole_cells)
            refit_loadings(self.model, self._whole_cells, at=at)
            self._fit_prior(at)
        self.ema.module.load_state_dict(self.model.state_dict())
        self.refit(last=True)
        gathered = GatheredCounts.of(self._whole_cells())
        keep_totals(self.model, gathered)

    def _fit_prior(self, at: WhitenedCodes) -> None:
        """Fit the prior of the codes, and each gene's own variation around draws from it."""
        generator = torch.Generator().manual_seed(self.seed)
        try:
            codes = fit_code_prior(self.model, self._whole_cells, at=at, generator=generator)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # public, but not in its stub
            warnings.warn(
                f"The distribution of the latent codes could not be fitted ({error}); the model keeps what was "
                "trained, but estimator='transport' will lack variance.",
                UserWarning,
                stacklevel=2,
            )
            return
        if codes is None:
            return
        self.model.prior_share.fill_(self.prior_share)
        if self.model.residual:
            cells = [cell.to(self.device) for cell in few(self._whole_cells())]
            variation = drawn_variation(self.model, cells, codes, technical=self.technical)
            self.model.prior.residual_shape.copy_(variation.residual_shape)

    def _whole_cells(self) -> Iterable[CountBatch]:
        """All cells, or many, with the molecules that were held out."""
        return (cell.whole() for cell in self.cells())

    @torch.no_grad()
    def refit(self, *, last: bool = False) -> None:
        """Estimate each gene's own variation around the averaged network; the last time from more cells."""
        averaged = self.averaged.eval()
        generator = torch.Generator(self.device).manual_seed(self.seed)
        chosen = [cell.whole() for cell in self.reference] if last else few(self.reference)
        cells = [batch.to(self.device) for batch in chosen]
        if last:
            averaged.cell_scale.follows.copy_(averaged.credibility > 0)
        variation = fit_variation(
            averaged,
            cells,
            technical=self.technical,
            generator=generator,
            times=passes(cells) if last else 1,
        )
        for module in (self.model, averaged):
            variation.put_into(module)
        if isinstance(self.noise, NegativeBinomial):
            self.noise.inverse_dispersion.copy_(variation.inverse_dispersion)
        if last:
            fit_cell_scale(averaged, cells, expectations(averaged, cells))
            self.model.cell_scale.load_state_dict(averaged.cell_scale.state_dict())
