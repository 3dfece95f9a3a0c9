"""Settings of a count model, apart from how it is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch

from scif.core.noise import NegativeBinomial, NoiseModel, Poisson
from scif.counts.config import CountConfig
from scif.counts.consistency import CountConsistency
from scif.counts.encoder import EncoderFactory, residual_encoder
from scif.counts.network import CountNetwork
from scif.counts.posterior.parameters import Dispersion, Parameters

__all__ = ["CountSettings"]


@dataclass(frozen=True)
class CountSettings:
    """Choices that make a model.

    Attributes
    ----------
    noise
        ``"poisson"``, ``"nb"``, or a channel of counts.
    n_latent
        Number of SVD components; None to choose it by held-out molecules.
    n_hidden, dropout_rate
        Width and dropout of the default encoder.
    residual
        Whether estimates contain gene-specific variation.
    start
        ``"svd"`` or ``"pooled"``.
    seed
        Seed of everything that is drawn.
    config
        Constants of the stages.
    encoder
        Called with the numbers of inputs and of outputs, returns the network between a cell's scores and its latent
        factors; None for the default.
    """

    noise: str | NoiseModel = "poisson"
    n_latent: int | None = None
    n_hidden: int = 256
    dropout_rate: float = 0.0
    residual: bool = True
    start: Literal["svd", "pooled"] = "svd"
    seed: int = 0
    config: CountConfig = field(default_factory=CountConfig)
    encoder: EncoderFactory | None = None

    @property
    def technical(self) -> torch.Tensor | float | None:
        """Technical inverse dispersion if it is known; None if it is to be estimated."""
        if isinstance(self.noise, NegativeBinomial):
            return self.noise.inverse_dispersion.detach().float()
        return None if self.noise == "nb" else math.inf

    def channel(self, parameters: Parameters) -> NoiseModel:
        """The channel of the counts, with the technical dispersion that was found."""
        if isinstance(self.noise, NegativeBinomial) or self.noise == "nb":
            return NegativeBinomial(parameters.dispersion.inverse_dispersion.detach().cpu().clone())
        return Poisson()

    def _encoder(self) -> EncoderFactory:
        if self.encoder is not None:
            return self.encoder
        return partial(residual_encoder, hidden=self.n_hidden, dropout=self.dropout_rate)

    def build(self, num_genes: int, *, num_batches: int, width: int | None = None) -> CountConsistency:
        """A model that is not trained."""
        width = max(1, min(10 if width is None else width, num_genes - 1))
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = CountNetwork(num_genes, width, num_batches=num_batches, encoder=self._encoder())
        profile = torch.full((num_genes,), 1.0 / num_genes)
        return CountConsistency(network, Parameters(profile, Dispersion.none(num_genes), residual=self.residual))
