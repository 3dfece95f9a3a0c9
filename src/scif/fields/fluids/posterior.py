"""Draws around an inversion, and the spread that they tell."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scif.core import LossOutput, Objective
from scif.core._check import batch_times
from scif.fields.fluids.chain import InUnits
from scif.fields.fluids.operators import FlowConsistency, with_channels
from scif.fields.fluids.training import Augmentation, train
from scif.fields.fluids.wiener import shell_power, shells

__all__ = ["SpreadFit", "SpreadModel", "SpreadRisk", "fit_spread"]


class SpreadModel(nn.Module):
    r"""Draws of the initial field: ``c(x1) + s(x1) * e`` with the estimate ``c``, spread map ``s`` and noise ``e``.

    ``e`` is Gaussian noise with the isotropic spectrum of the estimate's error divided by its spread. Errors can be
    computed for known fields, but these must vary like the unknown fields. Estimates vary less, because the noise hid
    part of the signal. Therefore the spectrum is found in rounds of expectation maximisation: estimates plus draws are
    observed again, and the errors of their inversion give the next spectrum. If estimates are posterior means of a
    Gaussian field, the true spectrum is the fixed point. Scales about which the observations contain no information
    start with zero spread and keep it, so the spread does not include them. If simulated initial fields that vary like
    the unknown fields are used instead of estimates and draws, the spread is complete.

    Parameters
    ----------
    source
        Trained consistency function; it is not changed.
    net
        Network, called with the inputs of the source and its estimate. It returns the logarithm of the spread divided
        by its mean.
    """

    amplitude: Tensor
    spread: Tensor
    points: Tensor

    def __init__(self, source: FlowConsistency, net: nn.Module) -> None:
        super().__init__()
        self.source = [source]  # in a list, so that it is no part of what is trained and saved
        self.net = net
        self.register_buffer("amplitude", torch.zeros(1))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("points", torch.ones(()))

    @property
    def channel(self) -> InUnits:
        """The channel in units."""
        return self.source[0].channel

    @torch.no_grad()
    def fit_spectrum(
        self, x1: Tensor, augmentation: Augmentation, *, rounds: int, generator: torch.Generator | None
    ) -> None:
        """Find the spectrum of the errors from observations."""
        estimate = self.source[0](x1, 1.0)
        error = torch.zeros_like(estimate)
        for _ in range(rounds):
            self.measure_spectrum(augmentation(estimate + error, generator=generator), generator=generator)
            error = self.noise(estimate, generator=generator) * self.spread

    @torch.no_grad()
    def measure_spectrum(self, clean: Tensor, *, generator: torch.Generator | None) -> None:
        """Measure the spectrum of the errors of known fields after observation and inversion."""
        self._set_spectrum(clean - self.source[0](self.channel.sample(clean, generator=generator), 1.0))

    def _set_spectrum(self, residual: Tensor) -> None:
        self.spread = residual.square().mean().sqrt().clamp_min(1e-9)
        self.points = self.spread.new_tensor(residual.shape[-2] * residual.shape[-1])
        self.amplitude = (shell_power(residual) / self.spread.square().clamp_min(1e-30)).sqrt()

    def noise(self, like: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Unit noise with the spectrum of the errors."""
        device = generator.device if generator is not None else like.device
        return self._shaped(torch.randn(like.shape, generator=generator, dtype=like.dtype, device=device).to(like))

    def _shaped(self, white: Tensor) -> Tensor:
        """White noise with the spectrum of the errors."""
        index = shells(white)
        known = index < len(self.amplitude)  # a finer grid has more shells, of which nothing is known
        finer = white.shape[-2] * white.shape[-1] / self.points
        amplitude = torch.where(known, self.amplitude[index.clamp_max(len(self.amplitude) - 1)], 0) * finer.sqrt()
        shaped = torch.fft.rfft2(white, norm="ortho") * amplitude
        out: Tensor = torch.fft.irfft2(shaped, s=white.shape[-2:], norm="ortho")
        return out

    def forward(self, x: Tensor, t: float | Tensor = 1.0) -> tuple[Tensor, Tensor]:
        """Estimates and their spread, of the same shape."""
        source = self.source[0]
        with torch.no_grad():
            times = batch_times(t, x)
            estimate = source(x, times)
            rough = source.rough(x)
            inputs = torch.cat([source.inputs(rough, source.base(x, times)), with_channels(estimate)], 1)
        log_ratio = self.net(inputs, times).reshape(estimate.shape)
        return estimate, self.spread * torch.exp(log_ratio.clamp(-4, 4))

    @torch.no_grad()
    def draw(self, x1: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Draw a field for each observation."""
        estimate, spread = self(x1)
        return estimate + spread * self.noise(estimate, generator=generator)

    @torch.no_grad()
    def calibrate(self, clean: Tensor, *, generator: torch.Generator | None) -> None:
        """Scale the spread so that errors of known fields, divided by it, have unit size."""
        again, told = self(self.channel.sample(clean, generator=generator))
        self.spread = self.spread * ((clean - again) / told).square().mean().sqrt()

    @torch.no_grad()
    def sample(self, x1: Tensor, num_draws: int, *, generator: torch.Generator | None) -> Tensor:
        """Draws ``(num_draws, batch, ...)``, independent of the other observations and of ``num_draws``."""
        estimate, spread = self(x1)
        like, base = estimate[0].cpu(), int(torch.randint(2**62, (), generator=generator, device=_device(generator)))
        rngs = [torch.Generator().manual_seed(_seed(base, row)) for row in x1]
        white = [[torch.randn(like.shape, generator=rng, dtype=like.dtype) for _ in range(num_draws)] for rng in rngs]
        drawn = torch.stack([torch.stack(rows) for rows in white], 1).to(estimate)
        return estimate + spread * self._shaped(drawn)


def _seed(base: int, row: Tensor) -> int:
    """A seed of one observation, by its values."""
    values = row.detach().cpu().contiguous().numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(values, digest_size=8, key=base.to_bytes(8, "little")).digest(), "little")


def _device(generator: torch.Generator | None) -> torch.device:
    return torch.device("cpu") if generator is None else generator.device


class SpreadRisk(Objective):
    """Gaussian likelihood of the errors of known fields, for a :class:`SpreadModel`.

    Parameters
    ----------
    augmentation
        Random changes of the known fields.
    simulated
        Whether the loss is called with known fields themselves; if not, with observations, whose estimates and draws
        are taken for known.
    """

    name = "spread"

    def __init__(self, augmentation: Augmentation, *, simulated: bool = False) -> None:
        super().__init__()
        self.augmentation, self.simulated = augmentation, simulated

    def forward(
        self,
        model: nn.Module,
        x1: Any,
        *,
        teacher: nn.Module | None = None,
        generator: torch.Generator | None = None,
        **condition: Any,
    ) -> LossOutput:
        """Loss on observations or known fields."""
        assert isinstance(model, SpreadModel)
        with torch.no_grad():
            clean = x1
            if not self.simulated:
                estimate = model.source[0](x1, 1.0)
                clean = estimate + model.spread * model.noise(estimate, generator=generator)
            clean = self.augmentation(clean, generator=generator)
            again = model.channel.sample(clean, generator=generator)
        mean, spread = model(again)
        return LossOutput((0.5 * ((clean - mean) / spread).square() + spread.log()).mean())


@dataclass(frozen=True)
class SpreadFit:
    """How a spread is found."""

    simulated: bool
    """Whether the data are initial fields that vary as the unknown ones do; if not, they are observations."""
    rounds: int
    """Rounds in which the spectrum of the errors is found from observations."""
    fields: int
    """Samples that the spectrum is found on."""
    seed: int
    """Seed of all draws."""


def fit_spread(
    spread: SpreadModel, data: Tensor, augmentation: Augmentation, *, how: SpreadFit, settings: dict[str, Any]
) -> tuple[SpreadModel, dict[str, list[float]]]:
    """Find the spectrum of the errors, train the spread map and calibrate it.

    Parameters
    ----------
    spread
        The untrained model.
    data
        Observations, or initial fields that vary as the unknown ones do.
    augmentation
        Random changes of initial fields that the flow commutes with.
    how
        Which of the two ``data`` are, and how the spectrum is found.
    settings
        Arguments of :func:`scif.core.fit`.

    Returns
    -------
    The trained spread, and the loss of every step.
    """
    rng, some = torch.Generator().manual_seed(how.seed), data[: how.fields]
    if how.simulated:
        spread.measure_spectrum(augmentation(some, generator=rng), generator=rng)
    else:
        spread.fit_spectrum(some, augmentation, rounds=how.rounds, generator=rng)
    risk = SpreadRisk(augmentation, simulated=how.simulated)
    model, losses = train(spread, risk, data, seed=how.seed, settings=settings)
    assert isinstance(model, SpreadModel)
    model.source = spread.source
    known = some if how.simulated else model.draw(some, generator=rng)
    model.calibrate(augmentation(known, generator=rng), generator=rng)
    return model, losses
