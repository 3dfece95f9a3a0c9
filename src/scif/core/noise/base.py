"""The noise channel ``p(x1 | x0)``: what every kind of measurement noise provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_fraction, check_same_shape
from scif.core.domain import Domain
from scif.core.noise.moments import Moments, QuadraticMoments

__all__ = ["Moments", "NoDensity", "NoiseModel", "NotSplittable", "Split"]


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


class NoiseModel(nn.Module):
    """A known noise channel from a clean ``x0`` to an observed ``x1``.

    Subclasses implement :meth:`sample` and :meth:`quadratic_moments` (or :meth:`moments`), and where the family
    allows it :meth:`log_prob`, :meth:`split` with :meth:`part_log_prob`, and :meth:`fit`. Parameters are buffers, so
    that they follow ``.to()`` and are saved with a model; :meth:`sample` changes nothing. Tensors are batched,
    ``(batch, ...)``; parameters broadcast against them, so that one of shape ``(batch, 1, ...)`` differs per sample.

    ``a @ b`` is the channel that applies ``b`` first and then ``a``, as in a product of operators.
    """

    support_x0: Domain = Domain.REAL
    """Where clean signals live."""
    support_x1: Domain = Domain.REAL
    """Where observations live."""
    unbiased: bool = True
    """Whether ``E[x1 | x0] = x0``."""
    deterministic: bool = False
    """Whether ``x1`` is a function of ``x0``."""

    def sample(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``x1 ~ p(. | x0)``.

        Parameters
        ----------
        x0
            Clean signal, ``(batch, ...)``, inside :attr:`support_x0`.
        generator
            Source of randomness; the global one of torch if not given.

        Returns
        -------
        Observation of the shape, dtype and device of ``x0``.
        """
        raise NotImplementedError

    def moments(self, x0: Tensor) -> Moments:
        """Mean and variance of ``x1`` given ``x0``, entry by entry."""
        form = self.quadratic_moments(x0)
        if form is None:
            raise NotImplementedError
        self.check_x0(x0)
        return form.of(x0)

    def quadratic_moments(self, x0: Tensor) -> QuadraticMoments | None:
        """The moments as polynomials in ``x0``, or ``None`` where they are something else.

        With it a channel needs no :meth:`moments` of its own, and chains of channels have exact moments, too. Of
        ``x0`` only shape, dtype and device are read.
        """
        return None

    def log_prob(self, x1: Tensor, x0: Tensor) -> Tensor:
        """``log p(x1 | x0)``, one number per sample ``(batch,)`` if entries are dependent, else entry by entry."""
        msg = f"{type(self).__name__} has no density that can be evaluated; use moments() or sample() instead."
        raise NoDensity(msg)

    def split(self, x1: Tensor, fraction: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Split:
        """Split observations into two parts that are independent given ``x0`` and sum to ``x1``.

        Raises
        ------
        NotSplittable
            If the family is not closed under convolution, so that no exact split exists.
        """
        msg = (
            f"{type(self).__name__} cannot be split into independent parts, so it has no anchor; "
            "train with anchor_weight=0 and watch the collapse monitor."
        )
        raise NotSplittable(msg)

    def part_log_prob(self, part: Tensor, x0: Tensor, fraction: float | Tensor) -> Tensor:
        """``log p`` of one part of :meth:`split` that carries ``fraction`` of the observation, given ``x0``."""
        msg = f"{type(self).__name__} cannot be split into independent parts, so a part has no likelihood."
        raise NotSplittable(msg)

    @classmethod
    def fit(cls, x1: Tensor, x0: Tensor | None = None) -> NoiseModel:
        """Estimate the channel's parameters from observations, with clean signals where the family needs them."""
        msg = f"{cls.__name__} has nothing to fit from data; construct it with its parameters."
        raise TypeError(msg)

    @property
    def splittable(self) -> bool:
        """Whether :meth:`split` is available."""
        return type(self).split is not NoiseModel.split

    def check_x0(self, x0: Tensor) -> None:
        """Raise unless ``x0`` is a floating tensor inside :attr:`support_x0`."""
        _check_signal(x0, self.support_x0, name="x0")

    def check_x1(self, x1: Tensor) -> None:
        """Raise unless ``x1`` is a floating tensor inside :attr:`support_x1`."""
        _check_signal(x1, self.support_x1, name="x1")

    def check_pair(self, x1: Tensor, x0: Tensor) -> None:
        """Raise unless ``x1`` and ``x0`` have the same shape and each is inside its support."""
        check_same_shape(x1, x0, names=("x1", "x0"))
        self.check_x1(x1)
        self.check_x0(x0)

    def set_parameter(self, name: str, value: Any, check: Callable[..., None], **options: Any) -> None:
        """Store a parameter as a buffer of its own once ``check(value, name=name, **options)`` has passed.

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
        """A parameter in the dtype of ``x``, once it is sure to broadcast against ``x`` without enlarging it."""
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
        """A share as a tensor like ``x``, once it is sure to lie strictly between 0 and 1."""
        check_fraction(fraction)
        return torch.as_tensor(fraction, dtype=x.dtype, device=x.device)

    def extra_repr(self) -> str:
        """Parameters: the value of single numbers, the shape of the others."""
        named = ((name, value) for name, value in self.named_buffers(recurse=False) if value is not None)
        return ", ".join(f"{n}={v.item():g}" if v.ndim == 0 else f"{n}={tuple(v.shape)}" for n, v in named)

    def forward(self, x0: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Same as :meth:`sample`."""
        return self.sample(x0, generator=generator)

    def __matmul__(self, first: NoiseModel) -> NoiseModel:
        """The channel that applies ``first`` and then this one."""
        from scif.core.noise.compose import Compose  # the composition needs this class

        if not isinstance(first, NoiseModel):
            return NotImplemented
        return Compose(self, first)


def _check_signal(x: Tensor, support: Domain, *, name: str) -> None:
    if not isinstance(x, Tensor):
        msg = f"{name} is a {type(x).__name__}; pass a tensor, as in torch.as_tensor({name})."
        raise TypeError(msg)
    if not x.is_floating_point():
        msg = f"{name} has dtype {x.dtype}; convert it to a floating dtype, as in {name}.float()."
        raise TypeError(msg)
    support.check(x, name=name)
