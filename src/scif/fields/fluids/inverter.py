"""Recovering initial fields from observations of final ones, learning from these alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from scif.core import Objective, Uniform
from scif.core._check import check_whole
from scif.core.engine import Checkpoint
from scif.core.noise import NoiseModel
from scif.fields.fluids.chain import InUnits, as_channel, flow_of, is_observed, lift, noise_level
from scif.fields.fluids.inputs import as_observations, as_simulated, as_states, check_choice, like_observations
from scif.fields.fluids.operators import FlowConsistency, FlowVelocity, with_channels
from scif.fields.fluids.posterior import SpreadFit, SpreadModel, fit_spread
from scif.fields.fluids.saving import SavedInverter, check_weights, read, write
from scif.fields.fluids.settings import check_choices, check_settings, make_net
from scif.fields.fluids.trained import TrainedInverse, distance
from scif.fields.fluids.training import Augmentation, make_objective, train
from scif.modelfile import ModelFileError, refuse_errors

__all__ = ["FluidInverter"]


class FluidInverter:
    """Recover the initial fields of a flow. Training needs only observations and the simulator.

    If the flow has symmetries (no forcing, a square domain), clean estimates are randomly rotated, mirrored and shifted
    before they are simulated again.

    Parameters
    ----------
    channel
        Map from the initial field to its observation, the same for all samples: a :class:`NavierStokesChannel`, or any
        function of fields ``(n, height, width)`` or ``(n, channels, height, width)``, such as a solver. Both can be
        combined with observations and noise, as in ``Gaussian(0.1) @ Coarse(4) @ flow``.
    method
        ``"icm"`` (a consistency function, one network call) or ``"ifm"`` (a velocity that is integrated back).
    start
        Consistency function before training: the ``"identity"``, as published, or the ``"backward"`` integration of the
        equations, which the network then corrects. The default is ``"backward"`` for ``"icm"`` and channels with a
        :class:`NavierStokesChannel`.
    path
        ``"straight"`` lines between initial and final fields, as published, or the ``"flow"`` itself.
    num_steps
        Number of time steps; default 1 for ``"icm"``, which suits a deterministic channel, and 8 for ``"ifm"``.
    network
        ``"fno"``, a Fourier neural operator for periodic fields, or ``"unet"``, for fields with walls. The default is
        ``"fno"`` for channels with a :class:`NavierStokesChannel` and ``"unet"`` for other simulators.
    width, modes, depth
        Hidden channels, Fourier modes and blocks of the network, see :class:`scif.nn.FNO`. A U-Net has two resolutions
        with ``width`` and ``2 * width`` channels, and ``depth`` blocks in total.
    max_gain
        Largest amplification of a mode by the backward integration; default 100, or with measurement noise half the
        signal-to-noise ratio (at least 2).
    boundary
        Treatment of fields that are not periodic although the flow is: ``"refuse"`` them, or taper them with a
        ``"window"`` and warn.
    seed
        Seed of the initial weights and of training.

    Attributes
    ----------
    history_
        Loss of every step of :meth:`fit`; ``"spread_loss"`` has that of :meth:`fit_spread`.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025 (experiment on fluids).

    Examples
    --------
    >>> import torch
    >>> from scif.fields.fluids import FluidInverter, laminar, relative_l2
    >>> case = laminar()
    >>> pairs = case.draw(16, 32, generator=torch.Generator().manual_seed(0))
    >>> inverter = FluidInverter(case.channel, width=4, depth=1).fit(pairs.final, max_steps=2, batch_size=4)
    >>> initial = inverter.invert(pairs.final)
    >>> bool((relative_l2(initial, pairs.initial) < 0.3 * relative_l2(pairs.final, pairs.initial)).all())
    True
    """

    def __init__(
        self,
        channel: NoiseModel | Callable[[Tensor], Tensor],
        *,
        method: Literal["icm", "ifm"] = "icm",
        start: Literal["identity", "backward"] | None = None,
        path: Literal["straight", "flow"] = "straight",
        num_steps: int | None = None,
        network: Literal["fno", "unet"] | None = None,
        width: int = 24,
        modes: int = 10,
        depth: int = 4,
        max_gain: float | None = None,
        boundary: Literal["refuse", "window"] = "refuse",
        seed: int = 0,
    ) -> None:
        sizes = {"num_steps": num_steps, "width": width, "modes": modes, "depth": depth}
        check_settings(sizes | {"max_gain": max_gain, "seed": seed})
        self.channel = as_channel(channel)
        flow = flow_of(self.channel)
        start = start or ("backward" if method == "icm" and flow is not None else "identity")
        network = network or ("fno" if flow is not None else "unet")
        check_choices(self.channel, method=method, start=start, path=path, num_steps=num_steps)
        check_choice("network", network, ("fno", "unet"))
        check_choice("boundary", boundary, ("refuse", "window"))
        self.method, self.start, self.path, self.network, self.boundary = method, start, path, network, boundary
        self.num_steps = num_steps or (1 if method == "icm" else 8)
        self.width, self.modes, self.depth = width, modes, depth
        self.max_gain, self.seed = max_gain, seed
        self.trained_: TrainedInverse | None = None
        self.spread_: SpreadModel | None = None
        self.history_: dict[str, list[float]] = {}
        self._about: dict[str, Any] = {}

    def fit(
        self,
        final: Any,
        *,
        max_steps: int = 1000,
        batch_size: int = 16,
        lr: float = 3e-3,
        ema_decay: float = 0.99,
        judged_rows: int = 256,
        checkpoint_dir: str | FilePath | None = None,
        **options: Any,
    ) -> FluidInverter:
        """Train on observations.

        Parameters
        ----------
        final
            Final fields ``(n, height, width)``, or observations in the form that the channel returns: a tensor, an
            array, or an xarray object. NaN marks gaps if the channel has :class:`Gaps`.
        max_steps
            Optimiser steps.
        batch_size
            Fields per batch.
        lr, ema_decay, judged_rows, **options
            As for :func:`scif.core.fit`.
        checkpoint_dir
            Folder for checkpoints, written every minute and on SIGTERM. A call with the same observations and arguments
            resumes from there; on a CPU the result is bit-identical to that of an uninterrupted run. Ctrl-C ends
            training and keeps the current network.

        Returns
        -------
        The inverter itself.

        Raises
        ------
        ValueError
            If fields are not finite, differ in size, are constant, or are not periodic although the flow is.
        """
        fields = as_observations(final, self.channel, self.boundary)
        rough = lift(self.channel, fields[:256])
        scale = float(rough.field.std()) if fields.shape[0] > 1 else 0.0
        if scale == 0.0:
            msg = f"final has {fields.shape[0]} fields with a standard deviation of {scale:g}; pass many that vary."
            raise ValueError(msg)
        observed = float(fields.std()) if is_observed(self.channel) else scale
        about: dict[str, Any] = {"scale": scale, "observed": observed, "error": 1.0}
        about |= {"channels": with_channels(rough.field).shape[1], "masks": len(rough.masks)}
        untrained = self._untrained(about)
        x1 = untrained.channel.encode(fields)
        if isinstance(model := untrained.model, FlowConsistency) and self.start == "backward":
            rng = torch.Generator().manual_seed(self.seed)
            if noise_level(self.channel) > 0:
                about["relative"] = model.fit_filter(x1[:256], generator=rng)
                about["factors"] = cast("Tensor", model.factors).tolist()
                model = cast("FlowConsistency", self._untrained(about).model)
            about["error"] = max(model.measure_error(x1[:64], generator=rng), 1e-6)
            untrained = self._untrained(about)
        square = rough.field.shape[-2] == rough.field.shape[-1]
        objective = self.make_objective(untrained.channel, square=square)
        settings = {"max_steps": max_steps, "batch_size": batch_size, "lr": lr, "ema_decay": ema_decay, **options}
        kept = self._checkpoint(checkpoint_dir, "fit", fields, settings)
        settings |= {"judged_rows": judged_rows, "checkpoint": kept}
        model, losses = train(untrained.model, objective, x1, seed=self.seed, settings=settings)
        self.history_, self.spread_ = losses, None
        self.trained_, self._about = replace(untrained, model=model), about
        return self

    def fit_spread(
        self,
        final: Any,
        *,
        initial: Any = None,
        max_steps: int = 200,
        batch_size: int = 16,
        lr: float = 3e-3,
        rounds: int = 4,
        fields: int = 256,
        checkpoint_dir: str | FilePath | None = None,
        **options: Any,
    ) -> FluidInverter:
        """Train the spread of the estimates, for :meth:`sample` and ``invert(..., return_std=True)``.

        Parameters
        ----------
        final
            Observations, as for :meth:`fit`, after which this is called.
        initial
            Simulated initial fields, on the grid of the estimates, that vary like the unknown fields. With them, the
            spread includes scales about which the observations contain no information. Without them, intervals are too
            narrow if viscosity, gaps or coarse observations have removed such scales.
        max_steps, batch_size, lr, checkpoint_dir, **options
            As for :meth:`fit`.
        rounds
            Number of rounds to find the spectrum of the errors, see :class:`SpreadModel`.
        fields
            Number of observations to find it on.
        """
        trained = self._trained
        if not isinstance(trained.model, FlowConsistency):
            msg = f"method is {self.method!r}; draws around an estimate need method='icm'."
            raise TypeError(msg)
        observed = as_observations(final, self.channel, self.boundary)
        x1 = trained.channel.encode(observed)
        field = lift(self.channel, x1[:1]).field
        data = x1 if initial is None else as_simulated(initial, like=field) / trained.channel.state
        augmentation = Augmentation.of(trained.channel, square=field.shape[-2] == field.shape[-1])
        rounds, fields = check_whole(rounds, name="rounds"), check_whole(fields, name="fields")
        settings = {"max_steps": max_steps, "batch_size": batch_size, "lr": lr, "ema_decay": 0.99, **options}
        kept = self._checkpoint(checkpoint_dir, "spread", data, settings | {"rounds": rounds, "fields": fields})
        how = SpreadFit(simulated=initial is not None, rounds=rounds, fields=fields, seed=self.seed)
        untrained, settings = self._untrained_spread(trained.model), settings | {"checkpoint": kept}
        self.spread_, losses = fit_spread(untrained, data, augmentation, how=how, settings=settings)
        self.history_ = self.history_ | {"spread_loss": losses["loss"]}
        return self

    @torch.no_grad()
    def invert(self, final: Any, *, refinements: int = 0, return_std: bool = False, batch_size: int = 64) -> Any:
        """Estimate the initial fields of observations, at the resolution of training or any other.

        Parameters
        ----------
        final
            Observations, as for :meth:`fit`; a single one may lack the sample axis.
        refinements
            Number of corrections. Each one simulates the estimate ``x`` and adds the inverted misfit, ``x + c(final) -
            c(flow(x))``, if this lowers the misfit. Use it only for fields without measurement noise, because it
            amplifies noise.
        return_std
            Also return the standard deviation of each point (after :meth:`fit_spread`).
        batch_size
            Number of fields processed at a time.

        Returns
        -------
        Initial fields with the type and dtype of ``final``, or a pair of these and their standard deviations.
        """
        trained = self._trained
        refinements = check_whole(refinements, name="refinements", least=0)
        batch_size = check_whole(batch_size, name="batch_size")
        parts = trained.channel.encode(self._observations(final)).split(batch_size)
        found = [trained.refine(part, refinements) if refinements else trained.estimate(part) for part in parts]
        initial = like_observations(torch.cat(found) * trained.channel.state, final)
        if not return_std:
            return initial
        spread = [self._spread(part)[1] for part in parts]
        return initial, like_observations(torch.cat(spread) * trained.channel.state, final, name="vorticity_std")

    @torch.no_grad()
    def sample(self, final: Any, *, num_draws: int = 16, generator: torch.Generator | None = None) -> Tensor:
        """Draw initial fields given observations, ``(num_draws, n, ...)``, after :meth:`fit_spread`.

        Parameters
        ----------
        final
            Observations, as for :meth:`invert`.
        num_draws
            Number of draws per observation.
        generator
            Random generator. With the same state, an observation gets the same draws, up to rounding, whatever other
            observations are passed.
        """
        x1 = self._trained.channel.encode(self._observations(final))
        num_draws = check_whole(num_draws, name="num_draws")
        return self._spread.sample(x1, num_draws, generator=generator) * self._trained.channel.state

    @torch.no_grad()
    def misfit(self, initial: Any, final: Any) -> Tensor:
        """Relative L2 distance between re-simulated initial fields and observations, ``(n,)``; it needs no truth."""
        x1 = self._observations(final)
        return distance(InUnits(self.channel, 1.0, 1.0).noise_free(as_states(initial, like=x1), x1), x1)

    def save(self, path: str | FilePath, *, overwrite: bool = False) -> None:
        """Write everything to one model file. A simulator is code: pass it again to :meth:`load`."""
        net, spread = self._trained.net.state_dict(), {} if self.spread_ is None else self.spread_.state_dict()
        saved = SavedInverter(self._settings(), self.channel, self._about, self.history_, net, spread)
        write(saved, path, overwrite=overwrite)

    @classmethod
    def load(
        cls, path: str | FilePath, *, channel: NoiseModel | Callable[[Tensor], Tensor] | None = None
    ) -> FluidInverter:
        """Load an inverter saved by :meth:`save`.

        Parameters
        ----------
        path
            The file.
        channel
            Channel that the inverter was trained with, unless that was a plain :class:`NavierStokesChannel`.

        Raises
        ------
        ModelFileError
            If the file was not written by :meth:`save` or is damaged, or if the channel is missing.
        """
        saved = read(path)
        channel = channel if channel is not None else saved.channel
        if channel is None:
            msg = f"{str(path)!r} was trained with a channel that a file cannot hold; pass it as channel=."
            raise ModelFileError(msg)
        with refuse_errors(path):
            inverter = cls(channel, **saved.settings)
            inverter.history_ = saved.history
            inverter._load_weights(path, saved)
        return inverter

    def make_objective(self, channel: InUnits, *, square: bool) -> Objective:
        """Objective of :meth:`fit`. Override it to train the same network with another one."""
        steps = self.num_steps
        return make_objective(channel, method=self.method, path=self.path, num_steps=steps, square=square)

    @property
    def _trained(self) -> TrainedInverse:
        if self.trained_ is None:
            msg = "this inverter is not trained; call fit(final) or FluidInverter.load(path) first."
            raise RuntimeError(msg)
        return self.trained_

    @property
    def _spread(self) -> SpreadModel:
        if self.spread_ is None:
            msg = "this inverter has no spread; call fit_spread(final) after fit(final)."
            raise RuntimeError(msg)
        return self.spread_

    def _observations(self, final: Any) -> Tensor:
        ndim = 3 if self._about.get("channels", 1) == 1 else 4
        return as_observations(final, self.channel, self.boundary, state_ndim=ndim)

    def _load_weights(self, path: str | FilePath, saved: SavedInverter) -> None:
        """Make the networks and fill them, once the file is sure to hold all their weights."""
        with torch.device("meta"):
            check_weights(path, saved.net, self._net(*self._sides(saved.about)).state_dict())
        self.trained_, self._about = (trained := self._untrained(saved.about)), saved.about
        trained.net.load_state_dict(saved.net)
        trained.model.eval()
        if saved.spread:
            assert isinstance(trained.model, FlowConsistency)
            with torch.device("meta"):
                check_weights(
                    path, saved.spread, self._net(*self._sides(saved.about, more=1)).state_dict(prefix="net.")
                )
            self.spread_ = self._untrained_spread(trained.model).eval()
            self.spread_.amplitude = torch.zeros_like(saved.spread["amplitude"])
            self.spread_.load_state_dict(saved.spread)

    def _sides(self, about: dict[str, Any], *, more: int = 0) -> tuple[int, int]:
        """Channels into the network and out of it; that of the spread sees ``more`` fields."""
        fields = about["channels"] * ((2 if self.start == "backward" else 1) + more)
        return fields + about["masks"], about["channels"]

    def _checkpoint(self, folder: Any, name: str, data: Tensor, settings: dict[str, Any]) -> Checkpoint | None:
        return None if folder is None else Checkpoint.of(folder, name, data, **self._settings(), **settings)

    def _net(self, inputs: int, outputs: int) -> nn.Module:
        sizes = {"width": self.width, "modes": self.modes, "depth": self.depth}
        return make_net(self.network, inputs, outputs, seed=self.seed, **sizes)

    def _untrained(self, about: dict[str, Any]) -> TrainedInverse:
        """The model before training, in units in which fields are of order one."""
        channel = InUnits(self.channel, about["scale"], about["observed"])
        max_gain = self.max_gain or min(100.0, max(2.0, 0.5 / max(about.get("relative", 0.0), 1e-9)))
        net = self._net(*self._sides(about))
        periodic = self.network == "fno"
        model: nn.Module = FlowVelocity(net, periodic=periodic)
        if self.method == "icm":
            kept = {"start": self.start, "max_gain": max_gain, "error": about["error"], "periodic": periodic}
            model = FlowConsistency(net, channel, **kept)
            model.factors = torch.tensor(about["factors"]) if "factors" in about else None
        return TrainedInverse(model, channel, Uniform().grid(self.num_steps))

    def _untrained_spread(self, source: FlowConsistency) -> SpreadModel:
        return SpreadModel(source, self._net(*self._sides(self._about, more=1)))

    def _settings(self) -> dict[str, Any]:
        names = ("method", "start", "path", "num_steps", "network", "width", "modes", "depth", "max_gain")
        return {name: getattr(self, name) for name in (*names, "boundary", "seed")}
