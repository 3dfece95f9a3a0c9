"""Sizes of results, told before memory is taken."""

from __future__ import annotations

import math
import os
import warnings

import numpy as np

__all__ = ["gigabytes", "tell_if_large"]

#: Results of more gigabytes than this are announced on any machine.
LARGE = 8.0
#: Results that take more than this share of the machine's memory are announced, too.
SHARE = 0.5


def gigabytes(shape: tuple[int, ...], dtype: np.dtype | type = np.float32) -> float:
    """Size of an array in gigabytes (1e9 bytes).

    Examples
    --------
    >>> from scif.model.memory import gigabytes
    >>> gigabytes((100_000, 10_000))
    4.0
    """
    return math.prod(shape) * np.dtype(dtype).itemsize / 1e9


def tell_if_large(shape: tuple[int, ...], dtype: np.dtype | type = np.float32) -> None:
    """Warn of an array that takes much memory, with its size and with what takes less."""
    need, have = gigabytes(shape, dtype), _memory()
    if need <= min(LARGE, SHARE * have):
        return
    size = " x ".join(f"{n:,}" for n in shape)
    of = f" of the {have:.0f} GB that this machine has" if math.isfinite(have) else ""
    warnings.warn(
        f"the result, {size} values, takes {need:.1f} GB of memory{of}. Write it to a file with "
        "model.denoise_to('denoised.h5ad'), or ask for some genes (gene_list) or cells (indices).",
        UserWarning,
        stacklevel=4,
    )


def _memory() -> float:
    """Memory of the machine in gigabytes; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return math.inf
