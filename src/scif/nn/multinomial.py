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
        share = logits.softmax(1)
        # of a row's largest logit the share is known best
        normaliser = logits.amax(1) - share.amax(1).log()
        molecules = totals.sum().clamp_min(1.0)
        ctx.save_for_backward(share, rows, columns, values, totals, molecules)
        return ((totals * normaliser).sum() - (values * logits[rows, columns]).sum()) / molecules

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        share, rows, columns, values, totals, molecules = ctx.saved_tensors
        weight = grad_outputs[0] / molecules
        gradient = share * (totals * weight).to(share.dtype)[:, None]
        at = rows * share.shape[1] + columns
        gradient.view(-1).scatter_add_(0, at, (values * -weight).to(share.dtype))
        return gradient, None, None, None, None
