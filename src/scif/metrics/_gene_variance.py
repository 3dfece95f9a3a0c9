"""Are the variances of denoised genes those of the signal? Held-out molecules know, without a truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from scif.metrics._matrix import as_counts, check_prediction, library_sizes

__all__ = ["GeneVariances", "gene_variances"]


@dataclass(frozen=True)
class GeneVariances:
    """Variance of each gene's rate (counts per library molecule) over cells; see :func:`gene_variances`.

    Attributes
    ----------
    denoised
        Variance of the denoised values, ``(genes,)``.
    signal
        Variance of the signal, estimated from two independent counts. The estimate is unbiased, so it is negative for
        some genes.
    mean
        Mean rate of each gene.
    """

    denoised: np.ndarray
    signal: np.ndarray
    mean: np.ndarray

    def kept(self, share: float = 0.5) -> float:
        """Ratio of denoised to true squared coefficients of variation, each summed over the most abundant genes.

        One is ideal. Below one, signal is lost; above one, noise is left. The ratio of a single gene is usually too
        uncertain.

        Parameters
        ----------
        share
            Fraction of the genes to use.

        Raises
        ------
        ValueError
            If ``share`` is not a fraction, or if these genes show no signal.
        """
        if not 0.0 < share <= 1.0:
            msg = f"share is {share:g}; it must be above 0 and at most 1."
            raise ValueError(msg)
        top = np.argsort(-self.mean, kind="stable")[: max(round(share * len(self.mean)), 1)]
        top = top[self.mean[top] > 0]
        signal = float((self.signal[top] / self.mean[top] ** 2).sum())
        if signal <= 0:
            msg = f"{top.size} genes have no variance that both counts share ({signal:g}); take more genes or cells."
            raise ValueError(msg)
        return float((self.denoised[top] / self.mean[top] ** 2).sum() / signal)


def gene_variances(denoised: Any, train: Any, test: Any) -> GeneVariances:
    r"""Variance of each gene over cells, after denoising and in the signal.

    Two counts of the same cells with independent noise, such as those of :func:`split_counts`, covary as the signal
    does. Therefore :math:`\operatorname{cov}(x_g / L, y_g / L)` estimates the variance of the rate without noise, for
    real cells as well. Cells are weighted by their number of molecules.

    Parameters
    ----------
    denoised
        Expected counts from ``train``, cells x genes, at any scale.
    train, test
        Counts of the same cells and genes with independent noise. The denoiser has not seen ``test``.

    Raises
    ------
    ValueError
        If shapes differ, if values are not counts, or if no cell has counts.

    Examples
    --------
    >>> import numpy as np
    >>> from scif.metrics import gene_variances, split_counts
    >>> rng = np.random.default_rng(0)
    >>> rate = rng.gamma(4.0, 5.0, (2000, 50))
    >>> split = split_counts(rng.poisson(rate), 0.5, seed=0)
    >>> observed, true = (gene_variances(x, split.train, split.test) for x in (split.train, rate))
    >>> round(observed.kept(), 1), round(true.kept(), 1)
    (1.4, 1.0)
    """
    train, test = as_counts(train, name="train"), as_counts(test, name="test")
    test = check_prediction(test, train.shape, name="test")
    denoised = check_prediction(denoised, train.shape, name="denoised")
    library = library_sizes(train)
    if library.sum() == 0 or test.sum() == 0:
        msg = "train or test holds no molecule; pass two parts of the counts, as split_counts gives."
        raise ValueError(msg)
    seen, hidden = (np.asarray(x.sum(axis=0)).ravel() / x.sum() for x in (train, test))
    both = (1.0 / np.maximum(library, 1.0)) @ train.multiply(test).tocsr() / test.sum()
    size = library_sizes(denoised)
    size[size == 0] = 1.0
    rate = library / library.sum() / size
    if sparse.issparse(denoised):
        mean, square = rate @ denoised, (rate / size) @ denoised.power(2)
    else:  # without a copy of the array
        mean = np.einsum("c,cg->g", rate, denoised)
        square = np.einsum("c,cg,cg->g", rate / size, denoised, denoised)
    return GeneVariances((square - mean**2).clip(0.0), both - seen * hidden, seen)
