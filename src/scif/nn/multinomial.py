"""Multinomial likelihood of sparse counts under dense logits, and without them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scif.nn.sparse_counts import SparseCounts

__all__ = ["decoded_nll", "multinomial_nll"]

#: Logits at a time on a processor, as many as stay in its cache, and cells at the least.
AT_A_TIME, FEWEST = 500_000, 16


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


def decoded_nll(codes: Tensor, loadings: Tensor, bias: Tensor, counts: SparseCounts) -> Tensor:
    """:func:`multinomial_nll` of the logits ``bias + codes @ loadings.T``, which are never there all at once.

    The gradient is found together with the loss, a few cells at a time; with mixed precision both are in full
    precision.

    Parameters
    ----------
    codes
        Of the cells, ``(cells, k)``.
    loadings, bias
        Of the genes, ``(genes, k)`` and ``(genes,)``.
    counts
        Observed molecules of the same cells.

    Returns
    -------
    Nats per molecule, a scalar.

    Examples
    --------
    >>> import torch
    >>> from scipy import sparse
    >>> from scif.nn import SparseCounts, decoded_nll
    >>> x = SparseCounts.from_scipy(sparse.csr_matrix([[1.0, 3.0]]))
    >>> round(float(decoded_nll(torch.zeros(1, 3), torch.ones(2, 3), torch.zeros(2), x)), 4)
    0.6931
    """
    with torch.autocast(codes.device.type, enabled=False):
        loss: Tensor = _DecodedNLL.apply(codes.to(loadings.dtype), loadings, bias, counts)
    return loss


class _DecodedNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, loadings: Tensor, bias: Tensor, counts: SparseCounts) -> Tensor:
        cells, genes = len(codes), len(bias)
        size = min(max(AT_A_TIME // genes, FEWEST), cells) if codes.device.type == "cpu" else cells
        totals, rows, starts = counts.totals(), counts.rows, [0, len(counts.values)]
        if size < cells:
            starts = counts.row_starts[[*range(0, cells, size), cells]].tolist()
        molecules = totals.sum().clamp_min(1.0)
        of_codes, of_loadings, of_bias = torch.empty_like(codes), torch.zeros_like(loadings), torch.zeros_like(bias)
        work, loss = codes.new_empty(size, genes), codes.new_zeros(())
        for first, start, end in zip(range(0, cells, size), starts[:-1], starts[1:], strict=True):
            last = min(first + size, cells)
            z, library = codes[first:last], totals[first:last].to(codes.dtype)
            logits = torch.addmm(bias, z, loadings.T, out=work[: last - first])
            at = (rows[start:end] - first) * genes + counts.columns[start:end]
            values = counts.values[start:end].to(logits.dtype)
            share = logits.softmax(1)
            # of a row's largest logit the share is known best
            normaliser = logits.amax(1) - share.amax(1).log()
            loss += library @ normaliser - values @ logits.view(-1)[at]
            gradient = share.mul_(library[:, None])
            gradient.view(-1).scatter_add_(0, at, -values)
            torch.mm(gradient, loadings, out=of_codes[first:last])
            of_loadings.addmm_(gradient.T, z)
            of_bias += gradient.sum(0)
        ctx.save_for_backward(of_codes.div_(molecules), of_loadings.div_(molecules), of_bias.div_(molecules))
        return loss / molecules

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        return *(grad_outputs[0] * part for part in ctx.saved_tensors), None
