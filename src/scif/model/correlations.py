"""Gene-gene correlations of true expression, corrected for noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import torch

from scif.counts.posterior.correlation import gene_correlation, gene_covariance
from scif.model.memory import tell_if_large

if TYPE_CHECKING:
    from scif.model.icm import ICM

__all__ = ["CorrelationMixin"]


class CorrelationMixin:
    """Correlations from the distribution of the latent factors."""

    @torch.inference_mode()
    def get_feature_correlation_matrix(self, gene_list: Sequence[str] | None = None) -> pd.DataFrame:
        """Correlations of log expression between genes, over cells, corrected for noise.

        Denoised counts correlate more than true expression. This method therefore does not use them: its correlations
        come from the fitted distribution of the latent factors, the loadings, and the gene-specific variation. Genes
        that share no variance (:attr:`credibility` is zero) correlate with none.

        Parameters
        ----------
        gene_list
            Genes, in the order of rows and columns; default all.

        Returns
        -------
        Correlations, genes x genes.

        Raises
        ------
        ValueError
            If a gene is unknown, or if the model has no distribution of the latent factors.

        Examples
        --------
        >>> import scif
        >>> adata = scif.datasets.simulate_counts(100, 40, seed=0)
        >>> scif.model.ICM.setup_anndata(adata)
        >>> model = scif.model.ICM(adata)
        >>> model.train(max_epochs=2, enable_progress_bar=False)
        >>> model.get_feature_correlation_matrix(["gene_2", "gene_0"]).shape
        (2, 2)
        """
        model = cast("ICM", self)
        model._check_if_trained(warn=False)
        columns, names = model._columns(gene_list, model.gene_names_)
        fitted = model.module.fitted
        prior = fitted.prior
        if prior is None:
            msg = (
                "the model has no distribution of the latent factors: it was trained on fewer than 40 cells, on cells "
                "that differ by no more than noise, or without consistency='em'. Correlate the counts instead."
            )
            raise ValueError(msg)
        tell_if_large((len(model.gene_names_),) * 2, np.dtype(np.float64))
        covariance = gene_covariance(
            prior.loadings.weight,
            prior.loadings.bias,
            log_weights=prior.log_weights,
            centre=prior.centre,
            root=prior.root,
            shape=fitted.spread,
            shared=None if fitted.credibility is None else fitted.credibility > 0,
        )
        values = gene_correlation(covariance).cpu().numpy()[np.ix_(columns, columns)]
        return pd.DataFrame(values, index=names, columns=names)
