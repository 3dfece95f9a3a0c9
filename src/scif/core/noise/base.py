"""The noise channel ``p(x1 | x0)``: what every kind of measurement noise provides."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scif.core._check import check_fraction, check_same_shape
from scif.core.domain import Domain
from scif.core.noise._plain import accept_generator
from scif.core.noise.moments import Moments, QuadraticMoments, monte_carlo_moments

__all__ = ["Equivalent", "Moments", "NoDensity", "NoiseModel", "NotSplittable", "Split"]


_MOST_DRAWN = 2_000_000
"""Numbers drawn for moments that are estimated, about a tenth of a second's."""
_FEWEST_DRAWS = 16
"""Draws at least, of signals however large."""


class NotSplittable(TypeError):
    """The channel has no exact split of one observation into two independent parts."""


class NoDensity(TypeError):
    """The channel has no density (or mass function) that can be evaluated."""


@dataclass(frozen=True)
class Split:
    """Two parts of one observation, independent given ``x0``, with ``a + b = x1``.

    ``a`` has mean ``fraction * E[x1 | x0]`` and ``b`` has mean ``(1 - fraction) * E[x1 | x0]``.
    """

    a: Tensor
    b: Tensor
    fraction: float | Tensor


@dataclass(frozen=True)
class Equivalent:
    """A chain of channels, written as one channel applied to a function of ``x0``."""

    channel: NoiseModel
    function: Callable[[Tensor], Tensor]


class NoiseModel(nn.Module):
    """A known noise channel from a clean ``x0`` to an observed ``x1``.

    Subclasses implement :meth:`sample`, which is enough for training, and set :attr:`elementwise`. If the family allows
    it, they add :meth:`quadratic_moments` (or :meth:`moments`), :meth:`log_prob`, :meth:`split` with
    :meth:`part_log_prob`, :meth:`fit` and :meth:`measure`. Parameters are buffers: they follow ``.to()`` and are saved
    with a model. Tensors are batched, ``(batch, ...)``, and parameters broadcast against them; a parameter of shape
    ``(batch, 1, ...)`` differs per sample.

    ``a @ b`` is the channel that applies ``b`` first and then ``a``, as in a product of operators.

    Examples
    --------
    >>> import torch
    >>> from scif.core.noise import NoiseModel
    >>> class Laplace(NoiseModel):
    ...     elementwise = True
    ...
    ...     def __init__(self, scale):
    ...         super().__init__()
    ...         self.register_buffer("scale", torch.as_tensor(scale))
    ...
    ...     def sample(self, x0, *, generator=None):
    ...         magnitude = -self.scale * torch.log1p(-torch.rand(x0.shape, generator=generator))
    ...         return x0 + magnitude * (2 * torch.randint(2, x0.shape, generator=generator) - 1)
    >>> bool((Laplace(0.5).moments(torch.zeros(100, 10)).variance.mean() - 0.5).abs() < 0.02)  # by Monte Carlo
    True
    """

    support_x0: Domain = Domain.REAL
    """Domain of the clean signals."""
    support_x1: Domain = Domain.REAL
    """Domain of the observations."""
    unbiased: bool = True
    """True if ``E[x1 | x0] = x0``."""
    deterministic: bool = False
    """True if ``x1`` is a function of ``x0``."""
    elementwise: bool | None = None
    """True if every entry of ``x1`` depends only on the same entry of ``x0``, by the same law up to the parameters, and
    on no other entry of ``x1``. None if unknown."""
    mirrored_split: bool = False
    """True if the parts ``a / f`` and ``b / (1 - f)`` of :meth:`split` keep their law and independence when they are
    mirrored at the observation, as for Gaussian noise."""
    tables: tuple[str, ...] = ()
    """Names of buffers that do not broadcast against signals, such as kernels and look-up tables."""
    moment_draws: int = 256
    """Number of samples for estimated :meth:`moments`, if the channel has no closed form."""
    _composition: ClassVar[type[NoiseModel]]

    def __init_subclass__(cls, *, composition: bool = False, **options: Any) -> None:
        """Make ``composition`` the class of ``a @ b``, and explain a ``sample`` that takes no generator."""
        super().__init_subclass__(**options)
        if composition:
            NoiseModel._composition = cls
        if "sample" in cls.__dict__:
            cls.sample = accept_generator(cls.sample)  # type: ignore[method-assign]

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``x1 ~ p(. | x0)``.

        Parameters
        ----------
        x0
            Clean signal, ``(batch, ...)``, inside :attr:`support_x0`.
        generator
            Random generator; default torch's global generator.

        Returns
        -------
        Observation with the shape, dtype and device of ``x0``.
        """
        raise NotImplementedError

    def moments(self, x0: Tensor) -> Moments:
        """Mean and variance of ``x1`` given ``x0``, entry by entry.

        If a channel has no :meth:`quadratic_moments` and does not override this method, the moments are Monte Carlo
        estimates from :attr:`moment_draws` samples (fewer for large signals). They use their own generator, so equal
        input gives equal moments.
        """
        self.check_x0(x0)
        form = self.quadratic_moments(x0)
        return self._estimated_moments(x0) if form is None else form.of(x0)

    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments | None:
        """Moments as polynomials in ``x0``, or None if they have another form.

        A channel with this method does not need :meth:`moments`, and its chains with other channels have exact moments.
        Only the shape, dtype and device of ``x0`` are used.
        """
        return None

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """``log p(x1 | x0)``: one number per sample ``(batch,)`` if entries are dependent, otherwise one per entry."""
        msg = f"{type(self).__name__} has no density that can be evaluated; use moments() or sample() instead."
        raise NoDensity(msg)

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Split observations into two parts that are independent given ``x0`` and sum to ``x1``.

        Raises
        ------
        NotSplittable
            If no exact split exists, because the family is not closed under convolution.
        """
        msg = (
            f"{type(self).__name__} cannot be split into independent parts, so it has no anchor; "
            "train with anchor_weight=0 and watch the collapse monitor."
        )
        raise NotSplittable(msg)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """``log p`` of one part of :meth:`split` with ``fraction`` of the observation, given ``x0``."""
        msg = f"{type(self).__name__} cannot be split into independent parts, so a part has no likelihood."
        raise NotSplittable(msg)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None) -> NoiseModel:
        """Estimate the channel's parameters from observations, with clean signals if the family needs them."""
        msg = f"{cls.__name__} has nothing to fit from data; construct it with its parameters."
        raise TypeError(msg)

    @classmethod
    def measure(cls, images: Sequence[NDArray[np.generic]]) -> Mapping[str, float]:
        """Measure the parameters from noisy images ``(height, width)``; used by ``ImageDenoiser(noise="its name")``."""
        msg = f"{cls.__name__} cannot be measured in noisy images; pass the channel with its parameters."
        raise TypeError(msg)

    @property
    def splittable(self) -> bool:
        """True if :meth:`split` is available."""
        return type(self).split is not NoiseModel.split

    def varying_parameters(self, ndim: int) -> dict[str, torch.Size]:
        """Parameters that differ along one of the last ``ndim`` axes of a signal, and their shapes."""
        return {name: one.shape for name, one in self._parameters_by_name() if any(n != 1 for n in one.shape[-ndim:])}

    def mirror_axes(self, ndim: int) -> tuple[int, ...]:
        """Axes, among the last ``ndim``, that may be mirrored, because a mirrored signal has mirrored noise.

        Axis 0 is the first of the ``ndim``. An :attr:`elementwise` channel returns all axes along which no parameter
        varies. Other channels return none, unless they override this method.
        """
        if not self.elementwise:
            return ()
        shapes = [[1] * (ndim - value.ndim) + list(value.shape[-ndim:]) for _, value in self._parameters_by_name()]
        return tuple(axis for axis in range(ndim) if all(shape[axis] == 1 for shape in shapes))

    def transpose_axes(self, ndim: int) -> tuple[tuple[int, int], ...]:
        """Pairs of the last ``ndim`` axes that may be swapped, because a transposed signal has transposed noise."""
        axes = self.mirror_axes(ndim) if self.elementwise else ()
        return tuple((a, b) for a in axes for b in axes if a < b)

    def without_offset(self) -> tuple[NoiseModel, Tensor | float]:
        """The channel without its constant offset, and the offset."""
        return self, 0.0

    def followed_by(self, after: NoiseModel) -> Equivalent | None:
        """Channel that applies this one and then ``after``, or None if that is not a known family."""
        return None

    def arguments(self) -> dict[str, Any]:
        """Constructor arguments of the channel, by name, for files and copies.

        Each argument of the class must be stored as an attribute of the same name. Otherwise override this method.

        Raises
        ------
        TypeError
            If an argument is not stored.
        """
        signature = inspect.signature(type(self)).parameters.values()
        names = [one.name for one in signature if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            msg = (
                f"{type(self).__name__} does not keep its argument {missing[0]!r}: store it as self.{missing[0]}, "
                "or define arguments()."
            )
            raise TypeError(msg)
        return {name: getattr(self, name) for name in names}

    def check_x0(self, x0: Tensor) -> None:
        """Raise an error unless ``x0`` is a floating point tensor inside :attr:`support_x0`."""
        _check_signal(x0, self.support_x0, name="x0")

    def check_x1(self, x1: Tensor) -> None:
        """Raise an error unless ``x1`` is a floating point tensor inside :attr:`support_x1`."""
        _check_signal(x1, self.support_x1, name="x1")

    def check_pair(self, x1: Tensor, x0: Tensor) -> None:
        """Raise an error unless ``x1`` and ``x0`` have the same shape and are inside their supports."""
        check_same_shape(x1, x0, names=("x1", "x0"))
        self.check_x1(x1)
        self.check_x0(x0)

    def set_parameter(self, name: str, value: Any, check: Callable[..., None], **options: Any) -> None:
        """Store a parameter as a buffer after ``check(value, name=name, **options)`` has passed.

        Numbers are stored in the default dtype; a tensor keeps its dtype and its gradient.
        """
        try:
            tensor = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            msg = f"{name} is {value!r}; give a number, an array or a tensor."
            raise TypeError(msg) from error
        if not tensor.is_floating_point():
            tensor = tensor.to(torch.get_default_dtype())
        check(tensor, name=name, **options)
        self.register_buffer(name, tensor.clone())

    def parameter_for(self, name: str, x: Tensor) -> Tensor:
        """Convert a parameter, checked to broadcast against ``x`` without enlarging it, to the dtype of ``x``."""
        value: Tensor = getattr(self, name)
        sizes = zip(reversed(value.shape), reversed(x.shape), strict=False)
        if value.ndim > x.ndim or any(size not in (1, wanted) for size, wanted in sizes):
            msg = (
                f"{name} has shape {tuple(value.shape)}, which does not broadcast against signals of shape "
                f"{tuple(x.shape)}; give one value, one per entry, or one per sample as (batch, 1, ...)."
            )
            raise ValueError(msg)
        return value.to(x.dtype)

    def fraction_for(self, fraction: float | Tensor, x: Tensor) -> Tensor:
        """Convert a fraction, checked to lie strictly between 0 and 1, to a tensor like ``x``."""
        check_fraction(fraction)
        return torch.as_tensor(fraction, dtype=x.dtype, device=x.device)

    def extra_repr(self) -> str:
        """Text of the parameters: the values of single numbers, the shapes of tensors."""
        named = ((name, value) for name, value in self.named_buffers(recurse=False) if value is not None)
        return ", ".join(f"{n}={v.item():g}" if v.ndim == 0 else f"{n}={tuple(v.shape)}" for n, v in named)

    def forward(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Same as :meth:`sample`."""
        return self.sample(x0, generator=generator)

    def __matmul__(self, first: NoiseModel) -> NoiseModel:
        """The channel that applies ``first`` and then this one."""
        if not isinstance(first, NoiseModel):
            return NotImplemented
        return self._composition(self, first)

    def _estimated_moments(self, x0: Tensor) -> Moments:
        draws = max(min(self.moment_draws, _MOST_DRAWN // max(x0.numel(), 1)), min(self.moment_draws, _FEWEST_DRAWS))
        return monte_carlo_moments(self, x0, draws=draws)

    def _parameters_by_name(self) -> list[tuple[str, Tensor]]:
        """Parameters of this channel and of those inside it, without tables."""
        return [
            (name, value)
            for channel in self.modules()
            if isinstance(channel, NoiseModel)
            for name, value in channel.named_buffers(recurse=False)
            if value is not None and name not in channel.tables
        ]


def _check_signal(x: Tensor, support: Domain, *, name: str) -> None:
    if not isinstance(x, Tensor):
        msg = f"{name} is a {type(x).__name__}; pass a tensor, as in torch.as_tensor({name})."
        raise TypeError(msg)
    if not x.is_floating_point():
        msg = f"{name} has dtype {x.dtype}; convert it to a floating dtype, as in {name}.float()."
        raise TypeError(msg)
    support.check(x, name=name)
