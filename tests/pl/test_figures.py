from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scif import pl
from scif.metrics import (
    gene_variances,
    molecular_cross_validation,
    over_smoothing,
    predictive_coverage,
    randomised_pit,
    split_counts,
    truncated_svd,
)


@pytest.fixture
def denoised(simulated):
    simulated.layers["denoised"] = truncated_svd(simulated.X, 6)
    return simulated


def test_rows_are_observed_and_denoised_and_columns_labels_and_genes(denoised):
    genes = ["gene_3", "gene_1"]
    figure = pl.denoising(denoised, genes, color="cell_type", basis="pca", return_fig=True)
    axes = np.array(figure.axes[:6]).reshape(2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["cell_type", "gene_3", "gene_1"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["observed", "denoised"]
    for ax in axes[:, 1:].ravel():
        assert ax.collections[0].get_offsets().shape == (400, 2)
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == set(denoised.obs["cell_type"].cat.categories)


@pytest.mark.trains
def test_a_gene_shows_its_own_log_expression_on_one_scale(denoised):
    figure = pl.denoising(denoised, ["gene_1"], basis="pca", return_fig=True)
    above, below = (figure.axes[i].collections[0] for i in (1, 3))
    assert above.get_clim() == below.get_clim()
    for points, X in ((above, denoised.X.toarray()), (below, denoised.layers["denoised"])):
        expected = np.log1p(1e4 * X[:, 1] / X.sum(axis=1))
        np.testing.assert_allclose(np.sort(points.get_array()), np.sort(expected), rtol=1e-4)


@pytest.mark.trains
def test_both_rows_show_the_same_when_nothing_changed(denoised):
    denoised.layers["same"] = denoised.X.copy()
    figure = pl.denoising(denoised, color="batch", layer="same", basis="pca", return_fig=True)
    for first, second in zip(figure.axes[0].collections, figure.axes[1].collections, strict=True):
        np.testing.assert_array_equal(first.get_offsets(), second.get_offsets())


@pytest.mark.trains
def test_drawing_changes_nothing(denoised):
    before = denoised.copy()
    pl.denoising(denoised, ["gene_1"], color="cell_type", basis="pca", return_fig=True)
    assert denoised.obs.equals(before.obs)
    assert (denoised.X != before.X).nnz == 0
    assert not denoised.obsm.keys()
    assert not denoised.uns.keys()


@pytest.mark.slow
def test_umap_repeats_itself(denoised):
    drawn = [pl.denoising(denoised, ["gene_1"], color="cell_type", return_fig=True) for _ in range(2)]
    first, second = (figure.axes[1].collections[0].get_offsets() for figure in drawn)
    np.testing.assert_array_equal(first, second)


@pytest.mark.trains
def test_colours_stored_by_scanpy_are_used(denoised):
    stored = [f"#0000{i:02x}" for i in range(6)]
    denoised.uns["cell_type_colors"] = stored
    figure = pl.denoising(denoised, color="cell_type", basis="pca", return_fig=True)
    blue = [points.get_facecolor()[0, 2] for points in figure.axes[0].collections]
    np.testing.assert_allclose(blue, np.arange(6) / 255)


@pytest.mark.trains
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"genes": ["gene_1", "absent"]}, r"genes \['absent'\]"),
        ({"color": "absent"}, "color is 'absent'"),
        ({"layer": "absent"}, "no layer 'absent'"),
        ({"observed_layer": "absent"}, "no layer 'absent'"),
        ({"basis": "X_umap"}, "basis is 'X_umap'"),
    ],
)
def test_absent_names_are_named(denoised, arguments, match):
    with pytest.raises(ValueError, match=match):
        pl.denoising(denoised, **arguments)


def test_learning_curve_marks_the_best_epoch():
    validation = pd.DataFrame({"validation_loss": [0.3, 0.2, 0.25]}, dtype=object)
    train = pd.DataFrame({"train_loss": [3.0, 2.0, 1.0]}, dtype=object)
    figure = pl.learning_curve({"validation_loss": validation, "train_loss": train}, return_fig=True)
    left, right = figure.axes
    assert list(left.lines[0].get_ydata()) == [3.0, 2.0, 1.0]
    assert (right.lines[1].get_xdata()[0], right.lines[1].get_ydata()[0]) == (1, 0.2)


def test_learning_curve_needs_a_history():
    with pytest.raises(ValueError, match="history has none of"):
        pl.learning_curve({"elbo": pd.DataFrame({"elbo": [1.0]})})


@pytest.mark.trains
def test_one_gene_is_one_gene_and_numbers_get_a_colour_bar(denoised):
    denoised.obs["depth"] = np.linspace(1.0, 2.0, denoised.n_obs)
    figure = pl.denoising(denoised, "gene_1", color="depth", basis="pca", return_fig=True)
    assert not figure.legends
    assert figure.axes[0].collections[0].get_clim() == (1.0, 2.0)
    assert {"depth", "log expression, low to high"} <= {ax.get_ylabel() for ax in figure.axes}


def test_gene_scatter_takes_numbers_and_tells_the_correlation(denoised):
    denoised.obs["depth"] = np.linspace(1.0, 2.0, denoised.n_obs)
    figure = pl.gene_scatter(denoised, "gene_1", "gene_2", color="depth", return_fig=True)
    assert "depth" in {ax.get_ylabel() for ax in figure.axes}
    values = np.log1p(1e4 * denoised.layers["denoised"] / denoised.layers["denoised"].sum(axis=1, keepdims=True))
    expected = np.corrcoef(values[:, 1], values[:, 2])[0, 1]
    assert figure.axes[1].texts[0].get_text() == f"r = {expected:.2f}"


def test_own_coordinates_are_drawn_as_they_are(denoised):
    denoised.obsm["X_own"] = np.random.default_rng(0).normal(size=(400, 3))
    denoised.obsm["latent"] = np.random.default_rng(1).normal(size=(400, 2))
    axes = pl.denoising(denoised, basis=("X_own", "latent"), show=False)
    for ax, key in zip(axes[:, 0], ("X_own", "latent"), strict=True):
        np.testing.assert_allclose(ax.collections[0].get_offsets(), denoised.obsm[key][:, :2])


@pytest.mark.trains
def test_many_clusters_fit_into_the_figure(denoised):
    denoised.obs["cluster"] = [f"a cluster with a very long name {i % 40}" for i in range(400)]
    figure = pl.denoising(denoised, color="cluster", basis="pca", return_fig=True)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.y1 <= figure.bbox.height
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(set(names)) == 40


def figures(adata) -> dict:
    """Each figure function with what it draws."""
    split = split_counts(adata.X, 0.5)
    mean = truncated_svd(split.train, 6)
    pit = randomised_pit(split.test, mean)
    covered = predictive_coverage(pit, expression=mean.mean(axis=0), depth=mean.sum(axis=1))
    panel = over_smoothing(adata.layers["denoised"], adata.X, clusters=adata.obs["cell_type"])
    history = {"train_loss": pd.DataFrame({"train_loss": [2.0, 1.0]})}
    return {
        "denoising": lambda **k: pl.denoising(adata, "gene_1", basis="pca", **k),
        "gene_scatter": lambda **k: pl.gene_scatter(adata, "gene_1", ["gene_2", "gene_3"], color="cell_type", **k),
        "heatmap": lambda **k: pl.heatmap(adata, {"a": ["gene_1"], "b": ["gene_2"]}, "cell_type", **k),
        "dotplot": lambda **k: pl.dotplot(adata, ["gene_1", "gene_2"], "cell_type", **k),
        "dropout_curve": lambda **k: pl.dropout_curve(adata, **k),
        "calibration": lambda **k: pl.calibration(pit, covered, **k),
        "over_smoothing": lambda **k: pl.over_smoothing(panel, **k),
        "gene_variance": lambda **k: pl.gene_variance(gene_variances(mean, split.train, split.test), **k),
        "learning_curve": lambda **k: pl.learning_curve(history, stages={"start": 1.0, "network": 3.0}, **k),
        "molecular_cross_validation": lambda **k: pl.molecular_cross_validation(
            molecular_cross_validation(adata, {}, n_splits=2), **k
        ),
    }


@pytest.mark.trains
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", pl.__all__)
def test_scanpys_conventions_hold(denoised, tmp_path, name):
    draw = figures(denoised)[name]
    assert draw(save=tmp_path / "figure.png") is None
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert isinstance(draw(return_fig=True), Figure)
    axes = np.ravel(draw(show=False))
    assert all(isinstance(ax, Axes) for ax in axes)
    assert not pyplot.get_fignums()


@pytest.mark.trains
@pytest.mark.parametrize("name", ["dropout_curve", "gene_variance", "molecular_cross_validation"])
def test_own_axes_are_drawn_in(denoised, name):
    ax = Figure().subplots()
    assert figures(denoised)[name](ax=ax) is ax
    assert ax.get_xlabel()


def test_dots_of_denoised_values_are_not_all_full(denoised):
    ax = pl.dotplot(denoised, ["gene_1", "gene_2"], "cell_type", show=False)
    groups = denoised.obs["cell_type"].cat.categories
    share = 1 - np.exp(-denoised.layers["denoised"][:, 1])
    expected = [share[denoised.obs["cell_type"] == group].mean() for group in groups]
    np.testing.assert_allclose(ax.collections[0].get_sizes()[::2] / 130.0, expected, rtol=1e-6)


def test_dots_take_a_threshold_or_probabilities(denoised):
    counts = pl.dotplot(denoised, "gene_1", "cell_type", layer=None, threshold=1, show=False)
    denoised.layers["p"] = (denoised.X.toarray() > 0).astype(float)
    for given in ("p", denoised.layers["p"]):
        ax = pl.dotplot(denoised, "gene_1", "cell_type", probability=given, show=False)
        np.testing.assert_allclose(ax.collections[0].get_sizes(), counts.collections[0].get_sizes())
    with pytest.raises(ValueError, match="both given"):
        pl.dotplot(denoised, "gene_1", "cell_type", probability="p", threshold=1.0)
    with pytest.raises(ValueError, match="probabilities lie in"):
        pl.dotplot(denoised, "gene_1", "cell_type", probability=2 + denoised.layers["p"])
    with pytest.raises(ValueError, match="probability has shape"):
        pl.dotplot(denoised, "gene_1", "cell_type", probability=np.ones(3))


def test_heat_map_rows_are_the_cells_by_group(denoised):
    observed, _ = pl.heatmap(denoised, ["gene_1", "gene_2"], "cell_type", show=False)
    log = np.log1p(1e4 * denoised.X.toarray() / denoised.X.sum(axis=1).A1[:, None])[:, 1]
    order = np.argsort(denoised.obs["cell_type"].cat.codes, kind="stable")
    shown = observed.images[0].get_array()[:, 0]
    np.testing.assert_allclose(shown, log[order] / np.percentile(log, 99), rtol=1e-5)


def test_labels_and_genes_are_checked(denoised):
    denoised.obs["depth"] = np.linspace(0, 1, denoised.n_obs)
    with pytest.raises(ValueError, match=r"genes\['a'\] \['x'\]"):
        pl.dotplot(denoised, {"a": ["x"]}, "cell_type")
    with pytest.raises(ValueError, match="genes is empty"):
        pl.heatmap(denoised, [], "cell_type")
    with pytest.raises(ValueError, match="y is empty"):
        pl.gene_scatter(denoised, "gene_1", [])
    with pytest.raises(ValueError, match="groupby is 'absent'"):
        pl.heatmap(denoised, "gene_1", "absent")
    with pytest.raises(ValueError, match="which holds numbers"):
        pl.heatmap(denoised, "gene_1", "depth")
    with pytest.raises(ValueError, match=r"y \['x'\]"):
        pl.gene_scatter(denoised, "gene_1", "x")
    with pytest.raises(ValueError, match="no layer 'x'"):
        pl.dropout_curve(denoised, layer="x")


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore:.*has no score")
def test_bars_name_what_has_no_score(simulated):
    result = molecular_cross_validation(simulated, {"fails": lambda adata: 1 / 0}, n_splits=1)
    ax = pl.molecular_cross_validation(result, show=False)
    assert ax.get_yticklabels()[-1].get_text() == "fails"
    assert "no score" in {text.get_text().strip() for text in ax.texts}
    alone = molecular_cross_validation(simulated, {"fails": lambda adata: 1 / 0}, n_splits=1, baselines=False)
    with pytest.raises(ValueError, match="no method has a score: .*ZeroDivisionError"):
        pl.molecular_cross_validation(alone)
