"""Recovering initial from final fields, learning from final fields alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from scif.core import ICM, IFM, Uniform, fit
from scif.core.objective import CleanEstimates, Inverse
from scif.core.path import Linear
from scif.fields.fluids.channel import NavierStokesChannel
from scif.fields.fluids.grid import check_field
from scif.fields.fluids.metrics import relative_l2
from scif.fields.fluids.operators import FlowConsistency, FlowVelocity
from scif.fields.fluids.path import FlowPath
from scif.fields.fluids.saving import channel_from, channel_to
from scif.fields.fluids.symmetry import has_square_symmetry, random_symmetries
from scif.fields.fluids.trained import TrainedInverse
from scif.nn.fno import FNO

__all__ = ["FluidInverter"]

Fields = TypeVar("Fields", Tensor, np.ndarray)


class FluidInverter:
    """Inverts a flow: trained on final vorticity fields and the equations alone, it recovers the initial fields.

    Where the flow is unforced and the domain a square, clean estimates are turned and mirrored at random before they
    are simulated anew.

    Parameters
    ----------
    channel
        The flow from the initial to the observed field, the same for all samples.
    method
        ``"icm"`` (a consistency function, one network call) or ``"ifm"`` (a velocity that is integrated back).
    start
        What a consistency function is before training: the ``"identity"``, as published, or the ``"backward"``
        integration of the equations, which the network then corrects; ``"backward"`` for ``"icm"`` if not given.
    path
        ``"straight"`` lines between initial and final fields, as published, or the ``"flow"`` itself.
    num_steps
        Time steps; 1 for ``"icm"`` if not given, which suits a deterministic channel, and 8 for ``"ifm"``.
    width, modes, depth
        Hidden channels, Fourier modes and blocks of the network, see :class:`scif.nn.FNO`.
    max_gain
        Largest amplification of a mode by the backward integration. If not given: 100, or with measurement noise half
        the signal-to-noise ratio (at least 2).
    seed
        Seed of the initial weights and of training.

    References
    ----------
    Zhang and Zhou, "Inverse flow and consistency models", ICML 2025, whose experiment on fluids this is.

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
        channel: NavierStokesChannel,
        *,
        method: Literal["icm", "ifm"] = "icm",
        start: Literal["identity", "backward"] | None = None,
        path: Literal["straight", "flow"] = "straight",
        num_steps: int | None = None,
        width: int = 24,
        modes: int = 10,
        depth: int = 4,
        max_gain: float | None = None,
        seed: int = 0,
    ) -> None:
        start = start or ("backward" if method == "icm" else "identity")
        _check_choice("method", method, ("icm", "ifm"))
        _check_choice("path", path, ("straight", "flow"))
        _check_choice(f"start (with method={method!r})", start, ("identity", "backward")[: 2 if method == "icm" else 1])
        if isinstance(channel.duration, Tensor) or isinstance(channel.solver.viscosity, Tensor):
            msg = "the channel's viscosity or duration is a tensor; an inverter needs one number for all samples."
            raise TypeError(msg)
        self.channel = channel
        self.method, self.start, self.path = method, start, path
        self.num_steps = num_steps or (1 if method == "icm" else 8)
        self.width, self.modes, self.depth = width, modes, depth
        self.max_gain = max_gain
        self.seed = seed
        self.scale_ = self.error_ = 1.0
        self.trained_: TrainedInverse | None = None

    def fit(
        self,
        final: Fields,
        *,
        max_steps: int = 1000,
        batch_size: int = 16,
        lr: float = 3e-3,
        ema_decay: float = 0.99,
        judged_rows: int = 256,
        **options: Any,
    ) -> FluidInverter:
        """Train on final vorticity fields.

        Parameters
        ----------
        final
            Final fields, ``(n, height, width)``.
        max_steps
            Optimiser steps.
        batch_size
            Fields in a batch.
        lr, ema_decay, judged_rows, **options
            As for :func:`scif.core.fit`.

        Returns
        -------
        The inverter itself.

        Raises
        ------
        ValueError
            If fields are not finite, not all of one size, or do not vary.
        """
        fields = _as_fields(final)
        scale = float(fields.std()) if fields.shape[0] > 1 else 0.0
        if scale == 0.0:
            msg = f"final has {fields.shape[0]} fields with a standard deviation of {scale:g}; pass many that vary."
            raise ValueError(msg)
        error = 1.0
        if isinstance(model := self._untrained(scale, error).model, FlowConsistency) and self.start == "backward":
            rng = torch.Generator().manual_seed(self.seed)
            error = max(model.measure_error(fields[:64] / scale, generator=rng), 1e-6)
        untrained = self._untrained(scale, error)
        model = fit(
            untrained.model,
            self._objective(untrained.channel, square=fields.shape[-2] == fields.shape[-1]),
            fields / scale,
            max_steps=max_steps,
            batch_size=batch_size,
            lr=lr,
            warmup_steps=max_steps // 20,
            ema_decay=ema_decay,
            seed=self.seed,
            judged_rows=judged_rows,
            **options,
        )
        self.scale_, self.error_, self.trained_ = scale, error, replace(untrained, model=model)
        return self

    @torch.no_grad()
    def invert(self, final: Fields, *, refinements: int = 0, batch_size: int = 64) -> Fields:
        """Initial fields of final ones, at the resolution of training or any other.

        Parameters
        ----------
        final
            Final fields, ``(n, height, width)`` or ``(height, width)``.
        refinements
            How often to simulate the estimate and to correct it by what the inversion makes of the misfit,
            ``x + c(final) - c(flow(x))``, where this lowers the misfit. For fields without measurement noise, which it
            would amplify.
        batch_size
            Fields to treat at once.

        Returns
        -------
        Vorticity of the kind, shape and dtype of ``final``.
        """
        trained, parts = self._trained, (_as_fields(final) / self.scale_).split(batch_size)
        initial = [trained.refine(part, refinements) if refinements else trained.estimate(part) for part in parts]
        return _like(torch.cat(initial) * self.scale_, final)

    @torch.no_grad()
    def misfit(self, initial: Fields, final: Fields) -> Tensor:
        """Relative L2 distance of the re-simulated initial fields from the final ones ``(n,)``: needs no truth."""
        return relative_l2(self.channel.moments(_as_fields(initial)).mean, _as_fields(final))

    def save(self, path: str | FilePath, *, overwrite: bool = False) -> None:
        """Write weights, flow and settings to one ``.safetensors`` file, which holds no code."""
        net = self._trained.net
        path = FilePath(path)
        if path.exists() and not overwrite:
            msg = f"the file {str(path)!r} exists; choose another path or pass overwrite=True."
            raise FileExistsError(msg)
        about: dict[str, Any] = {"settings": self._settings(), "channel": channel_to(self.channel)}
        about |= {"scale": self.scale_, "error": self.error_}
        weights = {name: value.cpu().contiguous() for name, value in net.state_dict().items()}
        save_file(weights, path, metadata={"scif": json.dumps(about)})

    @classmethod
    def load(cls, path: str | FilePath) -> FluidInverter:
        """Read an inverter that :meth:`save` wrote."""
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("scif", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}
        if not isinstance(about, dict) or set(about) != {"settings", "channel", "scale", "error"}:
            msg = f"{str(path)!r} was not written by FluidInverter.save."
            raise ValueError(msg)
        inverter = cls(channel_from(about["channel"]), **about["settings"])
        inverter.scale_, inverter.error_ = about["scale"], about["error"]
        inverter.trained_ = inverter._untrained(about["scale"], about["error"])
        inverter.trained_.net.load_state_dict(weights)
        inverter.trained_.model.eval()
        return inverter

    @property
    def _trained(self) -> TrainedInverse:
        if self.trained_ is None:
            msg = "this inverter is not trained; call fit(final) or FluidInverter.load(path) first."
            raise RuntimeError(msg)
        return self.trained_

    def _untrained(self, scale: float, error: float) -> TrainedInverse:
        """The model before training, in units in which vorticities are ``scale`` times smaller."""
        channel = self.channel.rescaled(scale)
        max_gain = self.max_gain or min(100.0, max(2.0, 0.5 / max(channel.sigma, 1e-9)))
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            net = FNO(2 if self.start == "backward" else 1, width=self.width, modes=self.modes, depth=self.depth)
        model: nn.Module = FlowVelocity(net)
        if self.method == "icm":
            model = FlowConsistency(net, channel, start=self.start, max_gain=max_gain, error=error)
        return TrainedInverse(model, channel, Uniform().grid(self.num_steps))

    def _objective(self, channel: NavierStokesChannel, *, square: bool) -> Inverse:
        path = FlowPath(channel) if self.path == "flow" else Linear()
        objective = (_ICM if self.method == "icm" else _IFM)(channel, path=path, num_steps=self.num_steps)
        objective.symmetric = square and has_square_symmetry(channel.solver)
        return objective

    def _settings(self) -> dict[str, Any]:
        names = ("method", "start", "path", "num_steps", "width", "modes", "depth", "max_gain", "seed")
        return {name: getattr(self, name) for name in names}


class _Augmented(Inverse):
    """Turns and mirrors clean estimates at random before they are simulated anew."""

    symmetric = False

    def clean(self, model: nn.Module, x1: Any, *, generator: torch.Generator | None = None, **condition: Any) -> Any:
        clean = super().clean(model, x1, generator=generator, **condition)
        if not self.symmetric:
            return clean
        return CleanEstimates(random_symmetries(clean.x0, generator=generator), clean.condition)


class _ICM(_Augmented, ICM):
    pass


class _IFM(_Augmented, IFM):
    pass


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        msg = f"{name} is {value!r}; choose {' or '.join(map(repr, allowed))}."
        raise ValueError(msg)


def _as_fields(fields: Fields) -> Tensor:
    """Vorticity ``(n, height, width)`` in single precision."""
    tensor = torch.as_tensor(fields)
    if tensor.ndim not in (2, 3):
        msg = (
            f"fields have shape {tuple(tensor.shape)}; pass vorticity as (n, height, width) without an axis for "
            "channels (scif.fields.fluids.vorticity makes it of velocities)."
        )
        raise ValueError(msg)
    tensor = tensor.to(torch.float32)
    check_field(tensor, name="fields")
    return tensor if tensor.ndim == 3 else tensor[None]


def _like(result: Tensor, fields: Fields) -> Any:
    """A result as what was passed in: a tensor or an array, of the same shape and type."""
    result = result.reshape(fields.shape)
    if isinstance(fields, Tensor):
        return result.to(fields.dtype) if fields.is_floating_point() else result
    return result.numpy().astype(fields.dtype if fields.dtype.kind == "f" else np.float32)
