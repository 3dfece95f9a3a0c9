"""The registered count matrix: any layout, genes by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from scvi.data.fields import LayerField, NumericalObsField

from scif.model.checks import named
from scif.model.controls import KEY as CONTROLS
from scif.model.controls import controls_of
from scif.model.fingerprint import KEY, NAMES, WEIGHT, digest, fingerprint, weight

__all__ = ["CountField", "SizeFactorField", "gene_order"]


class CountField(LayerField):
    """A layer of counts; :func:`~scif.model.checks.check_setup` has looked at every value, not at twenty."""

    def __init__(self, registry_key: str, layer: str | None) -> None:
        super().__init__(registry_key, layer, is_count_data=False, correct_data_format=False)

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Register counts with a fingerprint, by which a later change is noticed, and with the names of controls."""
        data = self.get_field_data(adata)
        known = {KEY: fingerprint(data), WEIGHT: weight(data), NAMES: digest(np.asarray(adata.var_names, dtype=str))}
        return super().register_field(adata) | known | {CONTROLS: list(adata.var_names[controls_of(adata)])}

    def transfer_field(self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any) -> dict[str, Any]:
        """Register new data that has the same genes, in any order."""
        gene_order(state_registry[self.COLUMN_NAMES_KEY], adata_target.var_names)
        state = super().transfer_field(state_registry, adata_target, **kwargs)
        return state | {CONTROLS: list(state_registry.get(CONTROLS, []))}


class SizeFactorField(NumericalObsField):
    """A column of size factors, with a fingerprint by which a later change is noticed."""

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Register the column."""
        values = np.asarray(adata.obs[self.attr_key], dtype=np.float64)
        return super().register_field(adata) | {KEY: digest(values)}


def gene_order(model_genes: Sequence[str], data_genes: Sequence[str]) -> np.ndarray | None:
    """Columns of the data in the order of the model's genes; None if they are in order.

    Raises
    ------
    ValueError
        If genes of the model are missing, or the data has more.
    """
    wanted, present = np.asarray(model_genes, dtype=str), np.asarray(data_genes, dtype=str)
    if len(wanted) == len(present) and bool((wanted == present).all()):
        return None
    place = {gene: i for i, gene in enumerate(present)}
    missing = [gene for gene in wanted if gene not in place]
    if missing:
        msg = (
            f"adata lacks {len(missing)} of the {len(wanted)} genes the model was trained on: {named(missing)}. "
            "A gene that was not measured does not have zero counts: train on the genes that both data sets have."
        )
        raise ValueError(msg)
    known = set(wanted)
    extra = [gene for gene in present if gene not in known]
    if extra:
        msg = (
            f"adata has {len(extra)} genes the model was not trained on: {named(extra)}. "
            "Pass adata[:, model.get_var_names()]."
        )
        raise ValueError(msg)
    return np.array([place[gene] for gene in wanted])
