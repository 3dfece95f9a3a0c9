"""Eigenvectors of many small matrices on all processor cores."""

from __future__ import annotations

import torch
from torch import Tensor

from scif.parallel import spread

__all__ = ["eigen"]

#: Numbers in the matrices that are one piece of work.
PIECE = 50_000


def eigen(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``(n, k)``, rising, and eigenvectors ``(n, k, k)`` of symmetric matrices, on the processor.

    torch decomposes a batch one matrix after the other.

    Examples
    --------
    >>> import torch
    >>> eigen(torch.diag_embed(torch.tensor([[3.0, 1.0], [2.0, 5.0]])))[0].tolist()
    [[1.0, 3.0], [2.0, 5.0]]
    """
    pieces = matrices.tensor_split(max(1, min(matrices.numel() // PIECE, len(matrices))))
    values, vectors = zip(*spread(torch.linalg.eigh, pieces, on=matrices.device), strict=True)
    return torch.cat(values), torch.cat(vectors)
