"""Eigenvectors of many small matrices on all processor cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

__all__ = ["eigen"]

#: Numbers in the matrices of one thread at the least: with fewer, starting it takes longer than its work.
LEAST = 50_000


def eigen(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``(n, k)``, rising, and eigenvectors ``(n, k, k)`` of symmetric matrices, on the processor.

    torch decomposes a batch one matrix after the other. Here each of its threads gets a part, with the same result.

    Examples
    --------
    >>> import torch
    >>> eigen(torch.diag_embed(torch.tensor([[3.0, 1.0], [2.0, 5.0]])))[0].tolist()
    [[1.0, 3.0], [2.0, 5.0]]
    """
    threads = torch.get_num_threads()
    parts = min(threads, matrices.numel() // LEAST, len(matrices))
    if parts < 2:
        return torch.linalg.eigh(matrices)
    try:
        # a thread that has others at its command would only wait for them
        with ThreadPoolExecutor(parts, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            values, vectors = zip(*pool.map(torch.linalg.eigh, matrices.tensor_split(parts)), strict=True)
    finally:
        torch.set_num_threads(threads)  # threads to come begin with what was set last
    return torch.cat(values), torch.cat(vectors)
