"""Where training starts: a truncated SVD whose width is chosen by held-out molecules."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from scif.counts.config import StartConfig
from scif.counts.data.offsets import without_offsets
from scif.counts.network import CountStart
from scif.counts.statistics.normalise import log_normalise, totals
from scif.parallel import spread

__all__ = ["choose_width", "svd_start"]


def choose_width(
    x: sparse.csr_matrix,
    *,
    rng: np.random.Generator,
    config: StartConfig | None = None,
    batch: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    entries: int = 5_000_000,
) -> int:
    """Number of components that best predicts one part of the molecules from the other; the best of some.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.
    rng
        Source of randomness.
    config
        Widths to choose from.
    batch, offset
        Batches of the cells ``(cells,)`` and what each adds to the log-rates ``(batches, genes)``; none if not given.
    entries
        Number of entries (cells x genes) on which widths are judged, in at most 1,000 cells.

    Returns
    -------
    One of the widths 2 to 64 that the data's shape allows.
    """
    config = StartConfig() if config is None else config
    seen, hidden = _thin(x, 0.8, rng)
    keep = np.flatnonzero((totals(seen) > 0) & (totals(hidden) > 0))
    limit = min(len(keep), x.shape[1]) - 1
    if limit < config.widths[0]:
        return 1
    seen, hidden = seen[keep], hidden[keep]
    batch = None if batch is None else batch[keep]
    judged = rng.permutation(len(keep))[: int(np.clip(entries // x.shape[1], 100, 1000))]
    widths = [k for k in config.widths if k <= limit]
    gains = _gains(seen, hidden, widths, judged, config.pooled_share, batch=batch, offset=offset)
    return max(gains, key=gains.__getitem__)


def _gains(
    seen: sparse.csr_matrix,
    hidden: sparse.csr_matrix,
    widths: list[int],
    judged: np.ndarray,
    pooled_share: float,
    *,
    batch: np.ndarray | None,
    offset: np.ndarray | None,
) -> dict[int, float]:
    """How much better than the pooled profile each width predicts, from the molecules ``seen``, those ``hidden``."""
    values = log_normalise(_average_batch(seen, batch, offset), _depth(seen))
    left, singular, right = randomized_svd(values, max(widths), n_iter=3, random_state=0)
    factor = None if batch is None or offset is None else np.exp(offset).astype(np.float32)
    pooled = np.asarray(seen.sum(0)).ravel() / seen.sum()

    def found(chunk: np.ndarray) -> np.ndarray:
        """Gains of some cells."""
        gains = np.zeros(len(widths))
        codes, target = (left[chunk] * singular).astype(np.float32), hidden[chunk].tocoo()
        usual = np.log(pooled[target.col] + 1e-9)
        for i, k in enumerate(widths):
            rates = np.expm1(codes[:, :k] @ right[:k]).clip(0.0)
            if batch is not None and factor is not None:
                rates *= factor[batch[chunk]]
            norm = rates.sum(1).clip(1e-12)[target.row]
            share = (1 - pooled_share) * rates[target.row, target.col] / norm + pooled_share * pooled[target.col]
            gains[i] = target.data @ (np.log(share + 1e-9) - usual)
        return gains

    chunks = np.array_split(judged, max(1, len(judged) * seen.shape[1] // 1_000_000))
    gains = sum(spread(found, chunks, on=torch.device("cpu")), np.zeros(len(widths)))
    return dict(zip(widths, gains.tolist(), strict=True))


def svd_start(
    x: sparse.csr_matrix,
    width: int,
    *,
    profile: np.ndarray,
    rng: np.random.Generator,
    batch: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> CountStart:
    """Truncated SVD of log-normalised counts, with the reliability of each score.

    Reliability is the correlation of a score between two halves of the molecules, carried over to all of them by the
    Spearman-Brown formula.

    Parameters
    ----------
    x
        Counts ``(cells, genes)`` of enough cells to find the components.
    width
        Number of components.
    profile
        Molecules of each gene, ``(genes,)``, of these cells or of more.
    rng
        Source of randomness.
    batch, offset
        As for :func:`choose_width`: the components are those of counts without what batches add.
    """
    depth = _depth(x)
    values = log_normalise(_average_batch(x, batch, offset), depth)
    left, singular, right = randomized_svd(values, width, n_iter=3, random_state=0)
    scores = left * singular
    halves = [log_normalise(_average_batch(part, batch, offset), depth) @ right.T for part in _thin(x, 0.5, rng)]
    a, b = (half - half.mean(0) for half in halves)
    correlation = (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0)).clip(1e-12)
    correlation = correlation.clip(0.01, 1.0)

    def tensor(array: Any) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    return CountStart(
        components=tensor(right.T),
        center=tensor(scores.mean(0)),
        spread=tensor(scores.std(0) + 1e-6),
        reliability=tensor(2 * correlation / (1 + correlation)),
        profile=tensor(profile / profile.sum()),
        depth=depth,
    )


def _average_batch(x: sparse.csr_matrix, batch: np.ndarray | None, offset: np.ndarray | None) -> sparse.csr_matrix:
    """Counts as of the average batch; as they are if there is one batch."""
    return x if batch is None or offset is None else without_offsets(x, batch, offset)


def _thin(x: sparse.csr_matrix, fraction: float, rng: np.random.Generator) -> tuple[sparse.csr_matrix, ...]:
    kept = rng.binomial(np.floor(x.data).astype(np.int64), fraction).astype(np.float32)
    parts = []
    for values in (kept, x.data - kept):
        part = sparse.csr_matrix((values, x.indices, x.indptr), shape=x.shape)
        part = part.copy()
        part.eliminate_zeros()
        parts.append(part)
    return tuple(parts)


def _depth(x: sparse.csr_matrix) -> float:
    return float(np.median(totals(x)))
