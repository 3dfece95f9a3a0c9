"""A name for a trained model that two models share only if what they have learnt is the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from scif.counts.frozen import flatten

if TYPE_CHECKING:
    from scif.counts.consistency import CountConsistency

__all__ = ["weights_id"]

#: Characters of the name: among a million models two agree by chance with a probability of 2e-3.
LENGTH = 12


def weights_id(module: CountConsistency) -> str:
    """Hash of the network's weights and of all fitted parameters, twelve hexadecimal digits."""
    fitted, facts = flatten(module.fitted)
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in [*sorted(module.network.state_dict().items()), *sorted(fitted.items())]:
        values = tensor.detach().cpu().contiguous().numpy()
        found.update(f"{name} {values.dtype} {values.shape} ".encode())
        found.update(values.tobytes())
    return found.hexdigest()[:LENGTH]
