"""Counts come back from every format as they were stored; what is not read, not there or a guess is said."""

from __future__ import annotations

import gzip

import h5py
import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from scif.datasets import read_counts, simulate_counts

KINDS = ["Gene Expression"] * 30 + ["Antibody Capture"] * 10
GENOMES = ["GRCh38"] * 20 + ["mm10"] * 10 + [""] * 10


@pytest.fixture(scope="module")
def counts():
    return simulate_counts(25, 40, depth=300, truth=False, seed=0)


def same(found, wanted):
    np.testing.assert_array_equal(found.X.toarray(), wanted.X.toarray())
    assert list(found.var_names) == list(wanted.var_names)
    assert list(found.obs_names) == list(wanted.obs_names)


def write_matrix(group, adata):
    """The transposed matrix and the barcodes, as Cell Ranger writes them."""
    by_cell = sparse.csr_matrix(adata.X)
    for name in ("data", "indices", "indptr"):
        group[name] = getattr(by_cell, name)
    group["shape"] = np.array(adata.shape[::-1])
    group["barcodes"] = np.array(adata.obs_names, dtype="S")


def write_10x(path, adata):
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        write_matrix(matrix, adata)
        features = matrix.create_group("features")
        for name, values in (("id", adata.var_names), ("name", adata.var_names)):
            features[name] = np.array(values, dtype="S")
        features["feature_type"] = np.array(KINDS, dtype="S")
        features["genome"] = np.array(GENOMES, dtype="S")


def write_folder(folder, adata, *, features, zipped, kinds=True):
    folder.mkdir()
    mmwrite(folder / "matrix.mtx", sparse.coo_matrix(adata.X.T))
    lines = [f"ID{i}\t{name}" + (f"\t{KINDS[i]}" if kinds else "") for i, name in enumerate(adata.var_names)]
    (folder / features).write_text("\n".join(lines) + "\n")
    (folder / "barcodes.tsv").write_text("\n".join(adata.obs_names) + "\n")
    if zipped:
        for path in list(folder.iterdir()):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


@pytest.mark.parametrize("suffix", ["h5ad", "zarr", "loom"])
def test_annotated_files(counts, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    if suffix == "loom":
        loompy = pytest.importorskip("loompy")
        names = {"Gene": counts.var_names.to_numpy(str)}, {"CellID": counts.obs_names.to_numpy(str)}
        loompy.create(str(path), counts.X.T.toarray(), *names)
    else:
        getattr(counts, f"write_{suffix}")(path)
    same(read_counts(path), counts)


def test_genes_of_a_10x_file_of_several_kinds_and_genomes(counts, tmp_path):
    path = tmp_path / "x.h5"
    write_10x(path, counts)
    with pytest.warns(UserWarning) as said:
        same(read_counts(path), counts[:, :30])
    own = [str(each.message) for each in said if each.category is UserWarning]
    assert [part in text for part, text in zip(("Antibody", "mm10"), own, strict=True)] == [True, True]
    with pytest.warns(UserWarning, match="Antibody"):
        same(read_counts(path, genome="mm10"), counts[:, 20:30])
    same(read_counts(path, feature_type="Antibody Capture"), counts[:, 30:])
    for name, value in (("genome", "hg19"), ("feature_type", "Peaks")):
        with pytest.raises(ValueError, match=f"{name} is '{value}'.*choose one of"):
            read_counts(path, **{name: value})


def test_genomes_of_the_first_10x_format(counts, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        for name, columns in (("hg19", slice(0, 15)), ("mm10", slice(15, 40))):
            part = counts[:, columns]
            group = file.create_group(name)
            write_matrix(group, part)
            group["genes"] = group["gene_names"] = np.array(part.var_names, dtype="S")
    same(read_counts(path, genome="mm10"), counts[:, 15:])
    with pytest.raises(ValueError, match="genomes hg19, mm10; choose one"):
        read_counts(path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("features", "kinds"), [("features.tsv", True), ("genes.tsv", False)])
def test_folders(counts, tmp_path, features, kinds, zipped):
    folder = tmp_path / "filtered"
    write_folder(folder, counts, features=features, zipped=zipped, kinds=kinds)
    if kinds:
        with pytest.warns(UserWarning, match="Antibody"):
            same(read_counts(folder), counts[:, :30])
    else:
        same(read_counts(folder), counts)
        same(read_counts(folder / f"matrix.mtx{'.gz' if zipped else ''}"), counts)


def test_a_modality(counts, tmp_path):
    mudata = pytest.importorskip("mudata")
    path = tmp_path / "x.h5mu"
    mudata.MuData({"rna": counts[:, :30].copy(), "prot": counts[:, 30:].copy()}).write(path)
    same(read_counts(path, modality="prot"), counts[:, 30:])
    same(read_counts(path), counts[:, :30])
    with pytest.raises(ValueError, match="modality is 'atac'.*choose one of"):
        read_counts(path, modality="atac")


def test_names_given_twice_are_made_unique(counts, tmp_path):
    twice = counts.copy()
    twice.var_names = ["a", "a", *twice.var_names[2:]]
    twice.write_h5ad(tmp_path / "x.h5ad")
    assert read_counts(tmp_path / "x.h5ad").var_names.is_unique


def test_what_is_not_read_is_told_what_is(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty").mkdir()
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("matrix")
    for name in ("x.csv", "empty", "x.h5"):
        with pytest.raises(ValueError, match=r"no supported format. Supported are: .h5ad, .zarr"):
            read_counts(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="absent.h5ad does not exist"):
        read_counts(tmp_path / "absent.h5ad")


def test_lists_that_do_not_belong_to_the_matrix_are_refused(counts, tmp_path):
    folder = tmp_path / "x"
    write_folder(folder, counts, features="genes.tsv", zipped=False, kinds=False)
    (folder / "barcodes.tsv").write_text("one\n")
    with pytest.raises(ValueError, match="25 cells x 40 features.*1 cells and 40"):
        read_counts(folder)
    (folder / "barcodes.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="no barcodes.tsv"):
        read_counts(folder)
