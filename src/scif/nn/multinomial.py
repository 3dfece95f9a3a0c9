"""Multinomial likelihood of sparse counts under dense logits, without a second dense array."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scif.nn.sparse_counts import SparseCounts

__all__ = ["multinomial_nll"]


def multinomial_nll(logits: Tensor, counts: SparseCounts) -> Tensor:
    """Mean negative log-probability of a molecule, up to the multinomial coefficient.

    One log-sum-exp per cell and a gather at the stored entries; the gradient reuses one array.

    Parameters
    ----------
    logits
        Log-rates up to a constant per cell, ``(cells, genes)``.
    counts
        Observed molecules of the same cells.

    Returns
    -------
    Nats per molecule, a scalar.

    Examples
    --------
    >>> import torch
    >>> from scipy import sparse
    >>> from scif.nn import SparseCounts, multinomial_nll
    >>> x = SparseCounts.from_scipy(sparse.csr_matrix([[1.0, 3.0]]))
    >>> round(float(multinomial_nll(torch.zeros(1, 2), x)), 4)
    0.6931
    """
    loss: Tensor = _MultinomialNLL.apply(logits, counts.rows, counts.columns, counts.values, counts.totals())
    return loss


class _MultinomialNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, columns: Tensor, values: Tensor, totals: Tensor) -> Tensor:
        normaliser = logits.logsumexp(1)
        molecules = totals.sum().clamp_min(1.0)
        ctx.save_for_backward(logits, normaliser, rows, columns, values, totals, molecules)
        return ((totals * normaliser).sum() - (values * logits[rows, columns]).sum()) / molecules

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        logits, normaliser, rows, columns, values, totals, molecules = ctx.saved_tensors
        gradient = (logits - normaliser[:, None]).exp_().mul_(totals[:, None])
        gradient.view(-1).index_add_(0, rows * logits.shape[1] + columns, values.to(logits.dtype), alpha=-1.0)
        return gradient.mul_(grad_outputs[0] / molecules), None, None, None, None
