"""The encoder of the count network: from a cell's scores to what is added to its latent factors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

__all__ = ["EncoderFactory", "begin_at_zero", "encoder_name", "make_encoder", "residual_encoder"]

EncoderFactory = Callable[[int, int], nn.Module]
"""Called with the numbers of inputs and of outputs; returns a network of ``(cells, inputs)``."""


def residual_encoder(inputs: int, outputs: int, *, hidden: int = 256, dropout: float = 0.0) -> nn.Sequential:
    """Two hidden layers.

    Parameters
    ----------
    inputs, outputs
        Numbers of inputs and of outputs.
    hidden, dropout
        Width and dropout rate of the hidden layers.
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, outputs),
    )


def make_encoder(factory: EncoderFactory, inputs: int, outputs: int) -> nn.Module:
    """Encoder that a factory makes, once its type and the shape of what it returns are as they must be."""
    encoder = factory(inputs, outputs)
    if not isinstance(encoder, nn.Module):
        msg = (
            f"encoder({inputs}, {outputs}) returned {type(encoder).__name__}; pass a function of the numbers of inputs "
            "and of outputs that returns a torch.nn.Module."
        )
        raise TypeError(msg)
    training = encoder.training
    with torch.no_grad():
        found = encoder.eval()(torch.zeros(3, inputs))
    encoder.train(training)
    if tuple(found.shape) != (3, outputs):
        msg = (
            f"The encoder returns shape {tuple(found.shape)} for an input of shape (3, {inputs}); it must return "
            f"(3, {outputs})."
        )
        raise ValueError(msg)
    return encoder


@torch.no_grad()
def begin_at_zero(encoder: nn.Module, *, rows: int) -> None:
    """Set the first outputs of an encoder to zero, if its last module is linear: training begins at the SVD."""
    *_, last = encoder.modules()
    if isinstance(last, nn.Linear):
        last.weight[:rows].zero_()
        if last.bias is not None:
            last.bias.zero_()


def encoder_name(factory: EncoderFactory) -> str:
    """Name of what makes an encoder, as files and checkpoints record it."""
    kind = factory if hasattr(factory, "__qualname__") else type(factory)
    return f"{kind.__module__}.{kind.__qualname__}"
