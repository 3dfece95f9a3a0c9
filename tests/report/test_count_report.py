from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from scif.metrics import molecular_cross_validation, permute_genes, predictive_coverage, randomised_pit, truncated_svd
from scif.report import count_report


@pytest.fixture
def report(simulated):
    truth = simulated.layers["truth"]
    pit = randomised_pit(simulated.X, truth)
    null = truncated_svd(permute_genes(simulated.X, np.arange(simulated.n_vars)), 2)
    return count_report(
        simulated.X,
        truth,
        held_out=molecular_cross_validation(simulated, {"SVD": lambda a: truncated_svd(a.X, 6)}, n_splits=1),
        coverage=predictive_coverage(pit, expression=truth.mean(axis=0), depth=truth.sum(axis=1)),
        pit=pit,
        denoised_null=null,
        clusters=simulated.obs["cell_type"],
        collapse="Healthy.",
        genes=[f"<gene & {i}>" for i in range(simulated.n_vars)],
        settings={"seconds": 3.2},
    )


@pytest.mark.trains
def test_findings_say_what_is_good_and_what_is_not(report):
    found = {f.topic: f for f in report.findings()}
    assert list(found) == [
        "held-out molecules",
        "noise",
        "coverage",
        "correlation",
        "variance within clusters",
        "collapse",
    ]
    assert found["coverage"].good
    assert found["noise"].good
    assert not found["correlation"].good  # two components invent correlation of shuffled genes
    assert "do not infer networks" in found["correlation"].text
    assert found["collapse"].good
    loss = report.held_out.to_frame()["poisson_nll"]
    assert found["held-out molecules"].good == (loss["SVD"] < loss.drop("SVD").min())
    assert "[look]" in repr(report)


@pytest.mark.trains
def test_the_frame_holds_every_number(report):
    table = report.to_frame().set_index(["section", "measure"])["value"]
    assert table["data", "molecules"] == report.n_molecules
    assert table["coverage", "90% intervals, overall"] == pytest.approx(report.coverage.overall[2])
    assert table["held-out loss", "tuned SVD"] == report.held_out.to_frame().loc["tuned SVD", "poisson_nll"]


class Page(HTMLParser):
    """Tags that are open, and sources of what is loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.trains
def test_the_page_is_whole_and_needs_no_network(report, tmp_path):
    path = report.to_html(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not page.open
    assert len(page.sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert "&lt;gene &amp; " in text
    assert "<gene" not in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.trains
def test_a_page_that_cannot_be_written_leaves_nothing(report, tmp_path, monkeypatch):
    monkeypatch.setattr("scif.report._html.os.replace", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        report.to_html(tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_little_is_enough(simulated, tmp_path):
    report = count_report(simulated.X, lambda rows: simulated.layers["truth"][rows])
    assert [f.topic for f in report.findings()] == ["noise", "correlation"]
    assert report.to_html(tmp_path / "r.html").exists()
    assert len(report.to_frame()) > 5


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore:.*has no score")
def test_a_failed_method_is_said(simulated):
    result = molecular_cross_validation(simulated, {"fails": lambda a: 1 / 0}, n_splits=1)
    report = count_report(simulated.X, simulated.layers["truth"], held_out=result)
    assert "could not be compared: split 0: ZeroDivisionError" in report.findings()[0].text
