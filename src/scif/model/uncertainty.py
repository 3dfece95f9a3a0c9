"""Draws of counts from the posterior predictive distribution, and checks of what is asked of the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from scvi import settings

from scif.counts.denoise import Denoising, cells_at_a_time, denoised_blocks
from scif.model.arguments import check_batch_size, check_getter, check_seed
from scif.model.memory import tell_if_large
from scif.parallel import cores

if TYPE_CHECKING:
    from anndata import AnnData

    from scif.model.icm import ICM

__all__ = ["UncertaintyMixin", "check_uncertainty"]


class UncertaintyMixin:
    """Draws from the posterior predictive distribution."""

    @cores()
    @torch.inference_mode()
    def posterior_predictive_sample(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        gene_list: Sequence[str] | None = None,
        *,
        n_samples: int = 1,
        seed: int = 0,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Draw the counts that the model expects if the same cells were measured again at the same depth.

        Expected counts are drawn from their posterior; counts are then drawn from the noise channel.

        Parameters
        ----------
        adata, indices, gene_list, batch_size
            As in :meth:`get_denoised`.
        n_samples
            Number of draws per cell.
        seed
            Seed of the random draws. The draw of a cell depends only on the seed and its row.

        Returns
        -------
        Counts ``(n_samples, cells, genes)``, int32.

        Raises
        ------
        ValueError
            If ``n_samples`` is below one, or a cell or gene is unknown.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=1, enable_progress_bar=False)
        >>> model.posterior_predictive_sample(indices=[5, 3], n_samples=4).shape
        (4, 2, 40)
        """
        check_getter("sample", None, n_samples, None, True)
        check_batch_size(batch_size)
        check_seed(seed)
        model = cast("ICM", self)
        data, dataset, rows = model._cells(adata, indices)
        genes, _ = model._columns(gene_list, data.var_names)
        asked = Denoising("counts", None, "observed", n_samples, return_mean=False, seed=seed)
        shape = asked.shape(len(rows), len(genes))
        tell_if_large(shape, np.dtype(np.int32))
        out, module, start = np.empty(shape, dtype=np.int32), model.module.eval(), 0
        size = batch_size or cells_at_a_time(dataset, module.device, at_least=settings.batch_size)
        for block in denoised_blocks(module, dataset, rows, asked, genes=genes, batch_size=size):
            out[:, start : start + block.shape[1]] = block
            start += block.shape[1]
        return out


def check_uncertainty(estimator: str, return_std: bool, quantiles: Sequence[float] | None, return_numpy: bool) -> None:
    """Raise ``ValueError`` if standard deviations or quantiles are asked for in a way that has no meaning."""
    if not return_std and quantiles is None:
        return
    name = "return_std" if return_std else "quantiles"
    if return_std and quantiles is not None:
        msg = "return_std and quantiles cannot be combined; call once for each."
        raise ValueError(msg)
    if estimator != "mean":
        msg = f"{name} is given with estimator={estimator!r}; it is available with estimator='mean' only."
        raise ValueError(msg)
    if not return_numpy:
        msg = f"{name} and return_numpy=False cannot be combined: the result does not fit in one data frame."
        raise ValueError(msg)
    if quantiles is not None and not _are_probabilities(quantiles):
        msg = f"quantiles is {quantiles!r}; pass probabilities strictly between 0 and 1, such as (0.05, 0.95)."
        raise ValueError(msg)


def _are_probabilities(quantiles: Any) -> bool:
    """Whether these are some numbers strictly between zero and one."""
    try:
        shares = [float(share) for share in quantiles]
    except (TypeError, ValueError):
        return False
    return len(shares) > 0 and not isinstance(quantiles, str) and all(0.0 < share < 1.0 for share in shares)
