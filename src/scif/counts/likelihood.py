"""Multinomial likelihood of sparse counts under dense logits, and without them."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from scif.counts.data.sparse_counts import SparseCounts
from scif.parallel import spread

__all__ = ["decoded_nll", "multinomial_nll"]

#: Logits at a time on a processor, as many as stay in its cache, and cells at the least.
AT_A_TIME, FEWEST = 500_000, 16
#: Logits and cells of a piece for one core at the least, and pieces at the most: each has slopes of its own.
PIECE, CELLS, MOST = 500_000, 48, 8


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
    >>> from scif.counts.data.sparse_counts import SparseCounts
    >>> from scif.counts.likelihood import multinomial_nll
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


def decoded_nll(factors: Tensor, loadings: Tensor, bias: Tensor, counts: SparseCounts) -> Tensor:
    """:func:`multinomial_nll` of the logits ``bias + factors @ loadings.T``, which are never there all at once.

    The gradient is found together with the loss, a few cells at a time; with mixed precision both are in full
    precision.

    Parameters
    ----------
    factors
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
    >>> from scif.counts.data.sparse_counts import SparseCounts
    >>> from scif.counts.likelihood import decoded_nll
    >>> x = SparseCounts.from_scipy(sparse.csr_matrix([[1.0, 3.0]]))
    >>> round(float(decoded_nll(torch.zeros(1, 3), torch.ones(2, 3), torch.zeros(2), x)), 4)
    0.6931
    """
    with torch.autocast(factors.device.type, enabled=False):
        loss: Tensor = _DecodedNLL.apply(factors.to(loadings.dtype), loadings, bias, counts)
    return loss


class _DecodedNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, factors: Tensor, loadings: Tensor, bias: Tensor, counts: SparseCounts) -> Tensor:
        cells, totals = len(factors), counts.totals()
        if factors.device.type == "cpu":
            pieces = min(cells * len(bias) // PIECE, cells // CELLS, MOST)
            size, pieces = max(AT_A_TIME // len(bias), FEWEST), 1 << max(pieces.bit_length() - 1, 0)
        else:
            size, pieces = cells, 1
        bounds = [cells * i // pieces for i in range(pieces + 1)]
        tasks = [(factors, loadings, bias, counts, totals, range(*ends, size)) for ends in pairwise(bounds)]
        # how many pieces there are does not depend on how many cores: nor do the sums
        found = list(spread(_piece, tasks, on=factors.device)) if pieces > 1 else [_piece(tasks[0])]
        losses, of_factors, of_loadings, of_bias = zip(*found, strict=True)
        molecules = totals.sum().clamp_min(1.0)
        loss, *slopes = (reduce(Tensor.add_, parts) for parts in (losses, of_loadings, of_bias))
        ctx.save_for_backward(*(slope.div_(molecules) for slope in (torch.cat(of_factors), *slopes)))
        return loss / molecules

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        return *(grad_outputs[0] * part for part in ctx.saved_tensors), None


def _piece(task: tuple[Tensor, Tensor, Tensor, SparseCounts, Tensor, range]) -> tuple[Tensor, ...]:
    """Loss of some cells, a few at a time, and its slopes in factors, loadings and biases."""
    factors, loadings, bias, counts, totals, firsts = task
    genes, size = len(bias), min(firsts.step, firsts.stop - firsts.start)
    ends = [*firsts, firsts.stop]
    # all of the cells at once, as on a GPU, need no look at where they begin, for which it would have to stop
    starts = [0, len(counts.values)] if size == counts.num_cells else counts.row_starts[ends].tolist()
    of_factors = torch.empty_like(factors[firsts.start : firsts.stop])
    of_loadings, of_bias = torch.zeros_like(loadings), torch.zeros_like(bias)
    work, loss = factors.new_empty(size, genes), factors.new_zeros(())
    for (first, last), (start, end) in zip(pairwise(ends), pairwise(starts), strict=True):
        z, library = factors[first:last], totals[first:last].to(factors.dtype)
        logits = torch.addmm(bias, z, loadings.T, out=work[: last - first])
        at = (counts.rows[start:end] - first) * genes + counts.columns[start:end]
        values = counts.values[start:end].to(logits.dtype)
        share = logits.softmax(1)
        # of a row's largest logit the share is known best
        normaliser = logits.amax(1) - share.amax(1).log()
        loss += library @ normaliser - values @ logits.view(-1)[at]
        gradient = share.mul_(library[:, None])
        gradient.view(-1).scatter_add_(0, at, -values)
        torch.mm(gradient, loadings, out=of_factors[first - firsts.start : last - firsts.start])
        of_loadings.addmm_(gradient.T, z)
        of_bias += gradient.sum(0)
    return loss, of_factors, of_loadings, of_bias
