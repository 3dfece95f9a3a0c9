from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scif import pl
from scif.metrics import truncated_svd


@pytest.fixture
def denoised(simulated):
    simulated.layers["denoised"] = truncated_svd(simulated.X, 6)
    return simulated


def test_rows_are_observed_and_denoised_and_columns_labels_and_genes(denoised):
    genes = ["gene_3", "gene_1"]
    figure = pl.denoising(denoised, genes, color="cell_type", basis="pca")
    axes = np.array(figure.axes[:6]).reshape(2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["cell_type", "gene_3", "gene_1"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["observed", "denoised"]
    for ax in axes[:, 1:].ravel():
        assert ax.collections[0].get_offsets().shape == (400, 2)
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == set(denoised.obs["cell_type"].cat.categories)


def test_a_gene_shows_its_own_log_expression_on_one_scale(denoised):
    figure = pl.denoising(denoised, ["gene_1"], basis="pca")
    above, below = (figure.axes[i].collections[0] for i in (1, 3))
    assert above.get_clim() == below.get_clim()
    for points, X in ((above, denoised.X.toarray()), (below, denoised.layers["denoised"])):
        expected = np.log1p(1e4 * X[:, 1] / X.sum(axis=1))
        np.testing.assert_allclose(np.sort(points.get_array()), np.sort(expected), rtol=1e-4)


def test_both_rows_show_the_same_when_nothing_changed(denoised):
    denoised.layers["same"] = denoised.X.copy()
    figure = pl.denoising(denoised, color="batch", layer="same", basis="pca")
    for first, second in zip(figure.axes[0].collections, figure.axes[1].collections, strict=True):
        np.testing.assert_array_equal(first.get_offsets(), second.get_offsets())


def test_drawing_changes_nothing(denoised):
    before = denoised.copy()
    pl.denoising(denoised, ["gene_1"], color="cell_type", basis="pca")
    assert denoised.obs.equals(before.obs)
    assert (denoised.X != before.X).nnz == 0
    assert not denoised.obsm.keys()
    assert not denoised.uns.keys()


@pytest.mark.slow
def test_umap_repeats_itself(denoised):
    drawn = [pl.denoising(denoised, ["gene_1"], color="cell_type") for _ in range(2)]
    first, second = (figure.axes[1].collections[0].get_offsets() for figure in drawn)
    np.testing.assert_array_equal(first, second)


def test_colours_stored_by_scanpy_are_used(denoised):
    stored = [f"#0000{i:02x}" for i in range(6)]
    denoised.uns["cell_type_colors"] = stored
    figure = pl.denoising(denoised, color="cell_type", basis="pca")
    blue = [points.get_facecolor()[0, 2] for points in figure.axes[0].collections]
    np.testing.assert_allclose(blue, np.arange(6) / 255)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"genes": ["gene_1", "absent"]}, r"genes \['absent'\]"),
        ({"color": "absent"}, "color is 'absent'"),
        ({"layer": "absent"}, "no layer 'absent'"),
        ({"observed_layer": "absent"}, "no layer 'absent'"),
    ],
)
def test_absent_names_are_named(denoised, arguments, match):
    with pytest.raises(ValueError, match=match):
        pl.denoising(denoised, **arguments)


def test_learning_curve_marks_the_best_epoch():
    validation = pd.DataFrame({"validation_loss": [0.3, 0.2, 0.25]}, dtype=object)
    train = pd.DataFrame({"train_loss": [3.0, 2.0, 1.0]}, dtype=object)
    figure = pl.learning_curve({"validation_loss": validation, "train_loss": train})
    left, right = figure.axes
    assert list(left.lines[0].get_ydata()) == [3.0, 2.0, 1.0]
    assert (right.lines[1].get_xdata()[0], right.lines[1].get_ydata()[0]) == (1, 0.2)


def test_learning_curve_needs_a_history():
    with pytest.raises(ValueError, match="history has none of"):
        pl.learning_curve({"elbo": pd.DataFrame({"elbo": [1.0]})})
