"""Calls of networks and models, with a sentence where an own one does not take what it is given."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["call_network"]

_OF_SHAPES = re.compile(r"dimension|size of tensor|expanded size|must match|shape|broadcast")
"""Words of torch's errors about shapes that do not fit together."""


def call_network(net: Any, x: Tensor, t: Tensor, **condition: Any) -> Tensor:
    """``net(x, t, **condition)``; where its signature, dtype or use of ``t`` is wrong, the error names the mend.

    Parameters
    ----------
    net
        A network, a consistency function or a velocity; any callable.
    x
        Points ``(batch, ...)``.
    t
        Times, one or ``(batch,)``.
    **condition
        Passed on.

    Raises
    ------
    TypeError
        If it takes no ``(x, t)``, or its weights are of another dtype than ``x``.
    ValueError
        If it seems to use ``t`` without giving it the shape of ``x``.
    """
    if torch.compiler.is_compiling():
        return net(x, t, **condition)
    try:
        return net(x, t, **condition)
    except (TypeError, RuntimeError) as error:
        if type(error) not in (TypeError, RuntimeError):  # out of memory, for one
            raise
        _explain(net, x, t, condition, error)
        raise


def _explain(net: Any, x: Tensor, t: Tensor, condition: dict[str, Any], error: Exception) -> None:
    """Raise a clearer error if the reason can be told."""
    name = type(net).__name__ if isinstance(net, nn.Module) else getattr(net, "__name__", type(net).__name__)
    try:
        inspect.signature(net.forward if isinstance(net, nn.Module) else net).bind(x, t, **condition)
    except TypeError:
        extra = "".join(f", {key}=" for key in condition)
        msg = (
            f"{name} is called as {name}(x, t{extra}) with points (batch, ...) and one time per sample (batch,), which "
            f"it does not take: define `forward(self, x, t{extra.replace('=', '')})`, or use a network of scif.nn; "
            "ConsistencyFunction or Velocity makes a model of it."
        )
        raise TypeError(msg) from error
    except ValueError:  # a signature that Python does not know
        return
    weights = {p.dtype for p in net.parameters() if p.is_floating_point()} if isinstance(net, nn.Module) else set()
    if type(error) is RuntimeError and weights and x.dtype not in weights and "dtype" in str(error):
        dtype = next(iter(weights))
        msg = f"x has dtype {x.dtype}, but the weights of {name} are {dtype}; pass x.to({dtype}), or net.to({x.dtype})."
        raise TypeError(msg) from error
    if type(error) is RuntimeError and t.ndim == 1 and x.ndim > 1 and _OF_SHAPES.search(str(error)):
        ones = ", 1" * (x.ndim - 1)
        tile = "" if x.ndim == 2 else " (and .expand(-1, 1, *x.shape[2:]) to concatenate it)"
        msg = (
            f"{name} fails on x of shape {tuple(x.shape)} and t of shape {tuple(t.shape)} ({error}). If t "
            f"meets x in it, reshape it first: t.reshape(-1{ones}){tile}."
        )
        raise ValueError(msg) from error
