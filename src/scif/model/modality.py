"""One modality of a MuData: the AnnData in it is what a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anndata import AnnData
from mudata import MuData

from scif.model.checks import named

__all__ = ["ModalityMixin", "modality_with", "registered_modality"]

#: Entry of ``mdata.uns`` with the name of the modality that was set up last.
_MARK = "_scif_modality"


class ModalityMixin:
    """Setting up a MuData."""

    @classmethod
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str = "rna",
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        size_factor_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the counts of one modality. If the input is invalid, nothing is changed.

        Then create the model with ``ICM(mdata)``. Results belong to the modality: ``mdata.mod["rna"].layers["denoised"]
        = model.get_denoised()``. Denoise proteins and other modalities with separate models.

        Parameters
        ----------
        mdata
            Data with several modalities.
        modality
            Name of the modality to denoise.
        layer, batch_key, size_factor_key
            Same as in :meth:`setup_anndata`. Columns are taken from ``obs`` of the modality or, if they are not there,
            copied from ``obs`` of ``mdata`` by cell name.
        **kwargs
            Same as in :meth:`setup_anndata`.

        Raises
        ------
        ValueError
            If there is no such modality, or for the same reasons as :meth:`setup_anndata`.

        Examples
        --------
        >>> import mudata
        >>> import scif
        >>> rna = scif.datasets.simulate_counts(60, 40, seed=0)
        >>> mdata = mudata.MuData({"rna": rna})
        >>> scif.model.ICM.setup_mudata(mdata, "rna")
        >>> model = scif.model.ICM(mdata)
        """
        if not isinstance(mdata, MuData):
            msg = f"mdata is a {type(mdata).__name__}; pass a MuData, or an AnnData to setup_anndata."
            raise TypeError(msg)
        if modality not in mdata.mod:
            msg = f"modality={modality!r} is not in mdata.mod, which has {named(mdata.mod)}."
            raise ValueError(msg)
        adata, borrowed = mdata.mod[modality], []
        try:
            for key in (batch_key, size_factor_key):
                if key is not None and key not in adata.obs and key in mdata.obs:
                    adata.obs[key] = mdata.obs[key].reindex(adata.obs_names)
                    borrowed.append(key)
            setup: Any = cls
            setup.setup_anndata(adata, layer=layer, batch_key=batch_key, size_factor_key=size_factor_key, **kwargs)
        except BaseException:
            adata.obs.drop(columns=borrowed, inplace=True)
            raise
        mdata.uns[_MARK] = modality


def registered_modality(data: AnnData | MuData | None) -> AnnData | None:
    """The modality that was set up last, of a MuData; anything else as it is.

    Raises
    ------
    ValueError
        If none was.
    """
    if data is not None and not isinstance(data, AnnData | MuData):
        msg = f"adata is a {type(data).__name__}; pass an AnnData or MuData that was set up."
        raise TypeError(msg)
    if not isinstance(data, MuData):
        return data
    name = data.uns.get(_MARK)
    if name not in data.mod:
        msg = "mdata was not set up; call ICM.setup_mudata(mdata, modality) for the modality of this model."
        raise ValueError(msg)
    found: AnnData = data.mod[name]
    return found


def modality_with(data: Any, genes: Sequence[str]) -> Any:
    """The modality that has a model's genes, of a MuData; anything else as it is.

    Raises
    ------
    ValueError
        If no modality has them all.
    """
    if not isinstance(data, MuData):
        return data
    wanted = {str(gene) for gene in genes}
    for adata in data.mod.values():
        if wanted <= set(map(str, adata.var_names)):
            return adata
    msg = f"no modality of mdata, which has {named(data.mod)}, has all {len(wanted)} genes of the model."
    raise ValueError(msg)
