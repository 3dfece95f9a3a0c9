"""A name for a trained model that two models share only if their weights are the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["weights_id"]

#: Characters of the name: among a million models two agree by chance with a probability of 2e-3.
LENGTH = 12


def weights_id(module: nn.Module) -> str:
    """Hash of all weights, twelve hexadecimal digits."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous().numpy()
        found.update(f"{name} {values.dtype} {values.shape} ".encode())
        found.update(values.tobytes())
    return found.hexdigest()[:LENGTH]
