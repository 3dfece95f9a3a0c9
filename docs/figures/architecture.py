"""Figure of the developer guide: ``python docs/figures/architecture.py`` writes it to ``docs/_static``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.use("Agg")
OUT = Path(__file__).parents[1] / "_static"
BOXES = {
    "cli": (0.9, 1.5, "commands", "#eeeeee"),
    "model": (3.0, 2.5, "ICM: AnnData face", "#fde0dd"),
    "fields": (3.0, 0.5, "images, fluids", "#d0e8f2"),
    "counts": (5.4, 2.5, "count model on arrays", "#fde0dd"),
    "nn": (5.4, 0.5, "networks", "#eeeeee"),
    "core": (7.8, 1.5, "channels, objectives,\npaths, estimators", "#e5f5e0"),
}
ARROWS = (
    ("cli", "model"),
    ("cli", "fields"),
    ("model", "counts"),
    ("fields", "nn"),
    ("fields", "core"),
    ("counts", "core"),
    ("nn", "core"),
)
WIDTH, HEIGHT = 1.5, 0.8


def main() -> None:
    """Draw the packages and the direction of imports."""
    figure, axis = plt.subplots(figsize=(8.6, 3.2), layout="constrained")
    axis.set(xlim=(0, 8.7), ylim=(-0.35, 3.1))
    axis.axis("off")
    for name, (x, y, words, colour) in BOXES.items():
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        axis.add_patch(plt.Rectangle(corner, WIDTH, HEIGHT, fc=colour, ec="#444444", lw=1))
        axis.text(x, y + 0.16, f"scif.{name}", ha="center", va="center", fontsize=9, family="monospace")
        axis.text(x, y - 0.17, words, ha="center", va="center", fontsize=7.5, color="#444444")
    for start, end in ARROWS:
        (x0, y0, *_), (x1, y1, *_) = BOXES[start], BOXES[end]
        style = {"arrowstyle": "->", "color": "#444444", "lw": 1.1}
        axis.annotate("", (x1 - WIDTH / 2, y1), (x0 + WIDTH / 2, y0), arrowprops=style)
    axis.text(
        4.35,
        -0.28,
        "metrics, pl, pp, report and datasets stand beside these; model.report() calls metrics and report",
        fontsize=7.5,
        ha="center",
        color="#444444",
    )
    figure.savefig(OUT / "architecture.png", dpi=130)


if __name__ == "__main__":
    main()
