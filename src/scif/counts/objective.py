"""The core's objectives for sparse counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from scif.core import Anchor, InverseConsistency, PoissonDeviance, Uniform
from scif.core.noise import NoiseModel, Poisson
from scif.core.objective import LossOutput
from scif.counts.data.sparse_counts import SparseCounts, Thinned

__all__ = ["CountAnchor", "CountICM"]


class CountAnchor(Anchor):
    """Predict some of a cell's molecules from the others.

    Molecules are thinned one by one, at the stored entries only; given the number of hidden molecules their
    likelihood under Poisson noise is multinomial. Technical overdispersion is shared by both parts and cannot be seen
    here; :func:`scif.counts.stages.dispersion.fit_dispersion` takes it off.
    """

    def __init__(self, *, fraction: tuple[float, float] = (0.5, 0.95)) -> None:
        super().__init__(Poisson(), fraction=fraction)

    def split(self, x1: SparseCounts, generator: torch.Generator | None) -> Thinned:
        """Split counts into seen and hidden molecules, each cell by a share of its own."""
        low, high = self.range
        fraction = low + (high - low) * torch.rand(x1.num_cells, device=x1.device, generator=generator)
        return x1.thin(fraction, generator=generator)

    def forward(
        self,
        model: Any,
        x1: SparseCounts,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        batch: Tensor | None = None,
        ratio: Tensor | None = None,
        parts: Thinned | None = None,
        weight: Tensor | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Nats per hidden molecule; ``parts`` if counts have been split, ``weight`` if these are a share of more."""
        parts = self.split(x1, generator) if parts is None else parts
        library = parts.a.totals() if ratio is None else parts.a.totals() * ratio
        codes = model.network.latent(parts.a, torch.ones_like(library), library=library, batch=batch)
        loss = model.network.nll(codes, parts.b, batch=batch)
        return LossOutput(loss if weight is None else weight * loss)


class MolecularDeviance(PoissonDeviance):
    """Half the Poisson deviance per molecule of the target: the scale of the anchor."""

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Deviance of each cell."""
        return 0.5 * super().measure(prediction, target) * target.shape[1] / target.sum(1).clamp_min(1.0)


class CountICM(InverseConsistency):
    """Inverse consistency of expected counts, on a part of each minibatch.

    Clean estimates keep the distribution (``kind="transport"``): re-noised posterior means would be less dispersed
    than the observations, and pull towards over-smoothing.

    Parameters
    ----------
    noise
        Channel of counts.
    num_steps
        Time steps. With one step the minimiser is the posterior mean under the model's own prior.
    cells
        Cells of each minibatch on which the term is evaluated.
    """

    def __init__(self, noise: NoiseModel, *, num_steps: int = 1, cells: int = 8) -> None:
        super().__init__(
            noise, schedule=Uniform(), num_steps=num_steps, distance=MolecularDeviance(), weight="constant"
        )
        self.cells = cells

    def transport(
        self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any
    ) -> Tensor:
        """Distribution-keeping expected counts."""
        x0: Tensor = model(x1, 1.0, **(condition | {"kind": "transport"}))
        return x0

    def forward(
        self,
        model: nn.Module,
        x1: SparseCounts,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        batch: Tensor | None = None,
        ratio: Tensor | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Mean loss per molecule over the first cells of the minibatch."""
        x = x1.first(self.cells)
        ratio = torch.ones_like(x.totals()) if ratio is None else ratio[: x.num_cells]
        codes = None if batch is None else batch[: x.num_cells]
        library = x.totals() * ratio
        if self.num_steps == 1:
            return self._one_step(model, x, teacher, generator=generator, batch=codes, library=library, ratio=ratio)
        return super().forward(
            model, x, teacher=teacher, generator=generator, batch=codes, library=library, kind="transport"
        )

    def _one_step(
        self, model: Any, x: SparseCounts, teacher: Any, *, generator: Any, batch: Any, library: Tensor, ratio: Tensor
    ) -> LossOutput:
        """The path has two ends alone: the re-noised estimate must be denoised to the estimate."""
        clean = self.clean(model if teacher is None else teacher, x, generator=generator, batch=batch, library=library)
        renoised = self.noise.sample(clean.x0, generator=generator)
        kept = renoised.sum(1) > 0
        prediction = model(renoised, 1.0, library=renoised.sum(1).clamp_min(1.0) * ratio, batch=batch)
        # both keep the library size, so that their divergence is a cross-entropy up to a constant
        share = prediction / prediction.sum(1, keepdim=True).clamp_min(1e-12)
        entropy = -(clean.x0[kept] * share[kept].clamp_min(1e-12).log()).sum()
        return LossOutput(entropy / clean.x0[kept].sum().clamp_min(1.0))
