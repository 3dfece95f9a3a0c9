"""Proteins, peaks and guides beside genes."""

from __future__ import annotations

import numpy as np
import pytest

import scif
from scif.model import ICM


@pytest.fixture
def cite_seq():
    """Genes, and proteins with most of the molecules."""
    adata = scif.datasets.simulate_counts(100, 60, depth=300, truth=False, seed=0)
    x = adata.X.toarray()
    x[:, 50:] = np.random.default_rng(0).poisson(80, (100, 10))
    adata.X = x
    adata.var["feature_types"] = ["Gene Expression"] * 50 + ["Antibody Capture"] * 10
    return adata


def test_features_of_several_kinds_are_refused_with_the_mend(cite_seq):
    with pytest.raises(ValueError, match=r"Gene Expression \(50\).*Antibody Capture \(10\)") as raised:
        ICM.setup_anndata(cite_seq)
    mend = str(raised.value).split("adata = ")[1].split(", and")[0]
    genes = eval(mend, {"adata": cite_seq})  # the sentence is code that works
    ICM.setup_anndata(genes)
    assert genes.n_vars == 50


def test_proteins_alone_are_denoised(cite_seq):
    proteins = cite_seq[:, cite_seq.var["feature_types"] == "Antibody Capture"].copy()
    ICM.setup_anndata(proteins)


def test_kinds_of_genes_are_genes(cite_seq):
    cite_seq.var["feature_type"] = np.resize(["protein_coding", "lncRNA"], 60)
    del cite_seq.var["feature_types"]
    ICM.setup_anndata(cite_seq)
