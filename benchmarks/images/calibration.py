"""Calibration on real micrographs: the gain from one noisy image against the gain from 400 exposures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scif.fields.images import calibrate_poisson_gaussian

__all__ = ["calibration_table"]


def calibration_table(directory: Path) -> str:
    """A Markdown table of how far single-image gains are from those that the mean of 400 exposures tells."""
    data = np.load(directory / "w2s.npz")
    ratios = np.array(
        [
            calibrate_poisson_gaussian(noisy).gain / true_gain(noisy.astype(float), clean.astype(float))
            for noisy, clean in zip(data["noisy"], data["clean"], strict=True)
        ]
    )
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    within = np.mean(np.abs(ratios - 1) < 0.1)
    return (
        "| gain from one noisy micrograph / gain from 400 exposures | median | 10% | 90% | within 10% of one |\n"
        "|---|---|---|---|---|\n"
        f"| {len(ratios)} micrographs | {middle:.3f} | {low:.3f} | {high:.3f} | {within:.0%} |"
    )


def true_gain(noisy: NDArray, clean: NDArray, *, groups: int = 20) -> float:
    """Slope of the variance around the clean image, scaled to the noisy one, against its brightness."""
    slope, height = np.polyfit(clean.ravel(), noisy.ravel(), 1)
    expected = (slope * clean + height).ravel()
    squares = (noisy.ravel() - expected) ** 2
    order = np.array_split(np.argsort(expected, kind="stable"), groups)
    means, variances = (np.array([values[group].mean() for group in order]) for values in (expected, squares))
    return float(np.polyfit(means, variances, 1)[0])


def main() -> None:
    """Print the tables: ``python -m benchmarks.images.calibration --data DIR --split judge``."""
    import argparse
    import sys

    from benchmarks.images.auto import auto_table, harm_table, run_auto, run_harm
    from benchmarks.report import provenance, replace_table

    parser = argparse.ArgumentParser(prog="python -m benchmarks.images.calibration", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of bsd68.npz and w2s.npz")
    parser.add_argument("--split", choices=["tune", "judge"], default="judge", help="half of the pictures")
    parser.add_argument("--every", type=int, default=1, help="take one picture in so many")
    parser.add_argument("--out", type=Path, help="file for the rows, .csv")
    parser.add_argument("--harm", action="store_true", help="denoise textures instead: is auto worse than nothing?")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    rows = (run_harm if options.harm else run_auto)(options.data, options.split, every=options.every)
    if options.out is not None:
        rows.to_csv(options.out, index=False)
    made = provenance()
    text = harm_table(rows) if options.harm else auto_table(rows)
    share = f"One in {options.every} of the pictures" if options.every > 1 else "All pictures"
    text += f"\n\n{share} that {options.split}; commit {made['commit']}, {made['date']}."
    sys.stdout.write(f"{text}\n")
    if options.readme:
        name = "harm" if options.harm else "auto"
        replace_table(Path(__file__).with_name("README.md"), text, name=name)
    elif not options.harm:
        sys.stdout.write(f"\n{calibration_table(options.data)}\n")


if __name__ == "__main__":
    main()
