"""ALRA (Linderman et al., Nature Communications 2022), written from the paper.

A truncated SVD of the log-normalised counts, its rank where the gaps between singular values stop standing out from
those of the noise; per gene everything below the size of the most negative value is set to zero, and what is left is
brought to the mean and standard deviation of the gene's observed non-zero values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from benchmarks.counts.methods._scale import library_size, to_library
from sklearn.utils.extmath import randomized_svd

__all__ = ["fit"]


def fit(
    counts: sp.csr_matrix, *, seed: int, rank: int | None = None, scale: float = 1e4, quantile: float = 0.001
) -> Callable[[], np.ndarray]:
    """Low rank (chosen by its rule if not given), adaptive threshold per gene, rescaling, observed non-zeros kept."""
    library = library_size(counts)
    observed = np.log1p(counts.multiply(scale / library).toarray())
    left, values, right = randomized_svd(
        observed, n_components=min(100, min(observed.shape) - 1), n_iter=10, random_state=seed
    )
    rank = _choose_rank(values) if rank is None else rank

    def denoise() -> np.ndarray:
        low_rank = (left[:, :rank] * values[:rank]) @ right[:rank]
        threshold = np.abs(np.quantile(low_rank, quantile, axis=0))
        kept = np.where(low_rank > threshold, low_rank, 0.0)
        kept = np.maximum(_match_moments(kept, observed), 0.0)
        kept = np.where((kept == 0.0) & (observed > 0.0), observed, kept)
        return to_library(np.expm1(kept), library)

    return denoise


def _choose_rank(values: np.ndarray, *, noise_from: float = 0.8, threshold: float = 6.0) -> int:
    """Largest rank whose gap to the next singular value is 6 standard deviations above the gaps of the last fifth."""
    gaps = values[:-1] - values[1:]
    noise = gaps[int(noise_from * values.size) - 1 :]
    return int(np.flatnonzero((gaps - noise.mean()) / noise.std(ddof=1) > threshold).max(initial=0)) + 1


def _match_moments(kept: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Scale and shift each gene's non-zero values to the mean and deviation of its observed non-zero values."""
    (mean, sd), (target_mean, target_sd) = _nonzero_moments(kept), _nonzero_moments(observed)
    usable = np.isfinite(sd) & np.isfinite(target_sd) & (sd > 0.0) & (target_sd > 0.0)
    slope = np.where(usable, target_sd / np.where(usable, sd, 1.0), 1.0)
    shift = np.where(usable, target_mean - mean * slope, 0.0)
    return np.where(kept != 0.0, kept * slope + shift, 0.0)


def _nonzero_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per gene over non-zero entries; zero where there are fewer than two."""
    number = np.maximum((values != 0.0).sum(axis=0), 1)
    mean = values.sum(axis=0) / number
    squares = np.square(np.where(values != 0.0, values - mean, 0.0)).sum(axis=0)
    return mean, np.sqrt(squares / np.maximum(number - 1, 1))
