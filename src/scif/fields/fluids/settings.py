"""Numbers and names that an inverter is made of, checked before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scif.core._check import check_positive, check_whole
from scif.core.noise import NoiseModel
from scif.fields.fluids.chain import flow_of, is_observed
from scif.fields.fluids.inputs import check_choice
from scif.nn.fno import FNO
from scif.nn.unet import UNet

__all__ = ["check_choices", "check_settings", "make_net"]


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise unless sizes are whole and positive, and the gain is above one.

    Raises
    ------
    ValueError
        If a number is not whole, too small or not finite.
    TypeError
        If the gain is no number.
    """
    for name in ("num_steps", "width", "modes", "depth"):
        if settings[name] is not None:
            check_whole(settings[name], name=name)
    check_whole(settings["seed"], name="seed", least=0)
    if settings["max_gain"] is not None:
        check_positive(settings["max_gain"], name="max_gain")


def check_choices(channel: NoiseModel, *, method: str, start: str, path: str, num_steps: int | None) -> None:
    """Raise unless a channel can be inverted in the way that was chosen.

    Raises
    ------
    ValueError
        If a name is unknown, or is not for this channel.
    TypeError
        If the flow's viscosity or duration differs from sample to sample.
    """
    flow, observed = flow_of(channel), is_observed(channel)
    check_choice("method" + " of observations" * observed, method, ("icm", "ifm")[: 1 if observed else 2])
    check_choice("path", path, ("straight", "flow")[: 1 if observed or flow is None else 2])
    backward = method == "icm" and flow is not None
    check_choice(f"start (with method={method!r})", start, ("identity", "backward")[: 2 if backward else 1])
    if flow is not None and (isinstance(flow.duration, Tensor) or isinstance(flow.solver.viscosity, Tensor)):
        msg = "the channel's viscosity or duration is a tensor; an inverter needs one number for all samples."
        raise TypeError(msg)
    if observed and num_steps not in (None, 1):
        msg = f"num_steps is {num_steps}, but observations that are not fields have no path; use 1."
        raise ValueError(msg)


def make_net(network: str, inputs: int, outputs: int, *, width: int, modes: int, depth: int, seed: int) -> nn.Module:
    """A network with the initial weights that a seed gives it, on which torch's global generator has no part."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if network == "fno":
            return FNO(inputs, outputs, width=width, modes=modes, depth=depth)
        return UNet(inputs, outputs, widths=(width, 2 * width), blocks=math.ceil(depth / 4))
