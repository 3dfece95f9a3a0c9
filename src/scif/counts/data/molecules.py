"""Signs that counts are not counts of molecules, for which the noise would be wrong."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["LOOKED_AT", "unlike_molecules"]

#: Cells in which counts are looked at; genes are rare if at most this share of them has any, and enough if so many do.
LOOKED_AT, RARE, ENOUGH = 1024, 0.1, 100
#: Largest count where a rare gene is seen that may be typical of molecules: theirs is 1 or 2, that of reads about 10.
MOLECULES = 3
#: Entries that there must be at the least, and share of them that must be there not to be missed.
EXPECTED, SHARE = 30.0, 0.5


def unlike_molecules(x: sparse.csr_matrix) -> str | None:
    r"""Say what counts look like that no molecules give; None if they look like molecules.

    Whatever the cells and genes are, molecules that are counted at random are a mixture of Poisson counts, of which
    :math:`k! \, p_k` is the ``k``-th moment of a distribution. Moments are log-convex, so that
    :math:`2 n_0 n_2 \ge n_1^2` and :math:`3 n_1 n_3 \ge 2 n_2^2` for numbers of entries that are zero to three, but for
    chance. Binary data break the first; counts of two ends each, as of fragments of chromatin, break the second. Both
    are about whole numbers.

    Parameters
    ----------
    x
        Counts ``(cells, genes)``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> x = np.random.default_rng(0).poisson(0.5, (100, 80))
    >>> unlike_molecules(sparse.csr_matrix(x)) is None
    True
    >>> unlike_molecules(sparse.csr_matrix(2 * x)).split(":")[0]
    'looks as if most molecules were counted twice'
    """
    if (x.data == np.round(x.data)).all():
        unit = int(np.gcd.reduce(x.data.astype(np.int64))) if x.nnz >= ENOUGH else 1
        if unit > 2:
            return (
                f"looks multiplied: all of {x.nnz} entries are multiples of {unit}, and the noise is {unit} times that "
                f"of counts. Divide them by {unit}."
            )
        zeros = x.shape[0] * x.shape[1] - x.count_nonzero()
        ones, twos, threes = (int((x.data == k).sum()) for k in (1, 2, 3))
        least = ones**2 / (2 * max(zeros, 1))
        if least >= EXPECTED and twos < SHARE * min(least, ones):
            return (
                f"looks binarised, truncated or raised to a power: {zeros} entries are 0, {ones} are 1, {twos} are 2, "
                f"but molecule counts would have at least {least:.0f} twos. Their noise is not that of counts. "
                "Use the original counts."
            )
        least = 2 * twos**2 / (3 * max(ones, 1))
        if least >= EXPECTED and threes < SHARE * min(least, twos):
            return (
                f"looks as if most molecules were counted twice: {ones} entries are 1, {twos} are 2 and {threes} are "
                f"3, but molecule counts would have at least {least:.0f} threes. Counts of both ends of chromatin "
                "fragments look like this, and each pair would be taken for signal. Use fragments: call "
                "scvi.data.reads_to_fragments(adata), then set up with layer='fragments'."
            )
    typical = _typical_of_rare(x)
    if typical > MOLECULES:
        return (
            f"looks like reads, not molecules: genes that few cells express have {typical:g} counts in a typical such "
            "cell; molecules would give 1 or 2. Reads of one molecule are not independent, and noise='poisson' keeps "
            "the noise of amplification. Use molecule counts (UMIs), or ICM(adata, noise='nb'), which also removes "
            "technical overdispersion if there is evidence of it."
        )
    return None


def _typical_of_rare(x: sparse.csr_matrix) -> float:
    """Median count, where they are seen, of genes that few of the cells show; zero if that are too few counts."""
    seen = x.getnnz(axis=0)
    counts = x.data[(seen <= RARE * x.shape[0])[x.indices]]
    return float(np.median(counts)) if len(counts) >= ENOUGH else 0.0
