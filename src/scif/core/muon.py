"""An optimiser for networks of convolutions: Muon for their kernels, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MuonAdamW"]


class MuonAdamW(torch.optim.Optimizer):
    r"""Optimiser that uses Muon for convolution kernels and AdamW for all other weights, with one learning rate.

    A kernel is treated as a matrix with one row per output channel. Muon replaces its momentum :math:`U \Sigma V^\top`
    by approximately :math:`U V^\top`, so all directions of a layer move equally fast, whereas Adam follows the few that
    dominate the gradient. AdamW is used for complex kernels, for kernels with one row or column (the last layer of a
    network with one output channel), and for matrices, which are too small to benefit. Muon's steps are scaled to the
    size of AdamW's steps, so the same learning rate suits both.

    Parameters
    ----------
    params
        Weights, such as ``model.parameters()``.
    lr
        Learning rate.
    weight_decay
        Fraction of a weight, times ``lr``, that each step removes.
    momentum
        Momentum of Muon.

    References
    ----------
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); Liu et al., "Muon is scalable for
    LLM training", arXiv:2502.16982 (the size of its steps).

    Examples
    --------
    >>> layer = torch.nn.Conv2d(4, 8, 3)
    >>> optimizer = MuonAdamW(layer.parameters(), lr=1e-2)
    >>> layer(torch.randn(2, 4, 9, 9)).square().mean().backward()
    >>> optimizer.step()
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 1e-3, *, weight_decay: float = 0.01, momentum: float = 0.95
    ) -> None:
        weights = list(params)
        kernels = [p for p in weights if _is_kernel(p)]
        others = [p for p in weights if not _is_kernel(p)]
        groups = [{"params": group} for group in (kernels, others) if group]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        # torch's Muon takes nothing but matrices: it works on copies that have this shape
        self._kernels, self._matrices = kernels, [nn.Parameter(p.detach().flatten(1).clone()) for p in kernels]
        options: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        self._parts: list[torch.optim.Optimizer] = []
        if kernels:
            muon = torch.optim.Muon(self._matrices, momentum=momentum, adjust_lr_fn="match_rms_adamw", **options)
            self._parts.append(muon)
        if others:
            fused = all(p.is_floating_point() for p in others)  # one call for all weights
            self._parts.append(torch.optim.AdamW(others, fused=fused, **options))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step with the current gradients, or with those of ``closure``."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups[0] |= {name: group[name] for name in ("lr", "weight_decay")}
        for p, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.copy_(p.flatten(1))
            matrix.grad = None if p.grad is None else p.grad.flatten(1)
        for part in self._parts:
            part.step()
        for p, matrix in zip(self._kernels, self._matrices, strict=True):
            p.copy_(matrix.view_as(p))
            matrix.grad = None
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Learning rates, and the states of both parts."""
        return super().state_dict() | {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state of the same weights."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "parts"})
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def _is_kernel(p: Tensor) -> bool:
    """Whether a weight is a convolution's, with more than one row and one column when laid flat."""
    return p.ndim > 2 and p.is_floating_point() and min(p.shape[0], p[0].numel()) > 1
