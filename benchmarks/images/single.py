"""One noisy picture and nothing else: scif, told the noise and not, beside filters that are told it.

``python -m benchmarks.images.single --data DIR --readme`` runs what ``single.csv`` lacks, and writes the tables.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.images.auto import pictures
from benchmarks.images.baselines import Noise2Void
from benchmarks.images.cases import SIGMA, Case, Data, observe, photons
from benchmarks.images.methods import METHODS
from benchmarks.images.run import FORMS
from benchmarks.report import replace_table, with_provenance
from numpy.typing import NDArray
from skimage import data, filters, measure

from scif.core.noise import Gaussian, NoiseModel, Poisson, PoissonGaussian
from scif.fields.images import ImageDenoiser, affine_psnr, psnr

__all__ = ["interval_table", "psnr_table", "segmentation_table"]

NOISES: dict[str, NoiseModel] = {"Gaussian, sigma 25": Gaussian(SIGMA), "Poisson, gain 5": Poisson(5 / 255)}
LABELS = {
    "noisy": "no denoising",
    "nlm": "non-local means",
    "bm3d": "BM3D",
    "n2v": "Noise2Void, same network and steps",
    "told": "scif, told the noise",
    "auto": "scif, noise='auto'",
}
_SIDE = 256
_COVERED = 1.645
"""Standard deviations to either side that hold 90% of a Gaussian."""
_COINS, _SMALLEST = "coins (segmented)", 64
REAL = "noise of one exposure"
_EXPOSURES = (1, 51)
"""Micrographs of which one exposure is denoised, and the mean of 400 is the truth."""
FILE = Path(__file__).with_name("single.csv")

Image = NDArray[np.float32]


class Masked(Noise2Void):
    """With the share that is best for one picture: 24.7 against 24.3 dB on test001 (natural, Gaussian), 300 steps."""

    share = 0.06


@dataclass(frozen=True)
class Task:
    """One noisy picture and its truth."""

    picture: str
    noise: str
    channel: NoiseModel
    """The noise that methods are told."""
    noisy: Image
    clean: Image
    raw: Image
    """The picture as ``noise="auto"`` gets it."""


def tasks(directory: Path) -> Iterator[Task]:
    """Exposures; the first picture of each source in the half that judges, under noise; and coins, to be counted."""
    w2s = np.load(directory / "w2s.npz")
    for k in _EXPOSURES:
        camera = PoissonGaussian(1.0, 0.1)
        noisy, raw, clean = (middle(one) for one in (photons(w2s["noisy"][k]), w2s["noisy"][k], w2s["clean"][k]))
        yield Task(f"{w2s['name'][k]} (micrographs)", REAL, camera, noisy, clean.astype(np.float32), raw)
    seen, scenes = set(), []
    for picture in pictures(directory, "judge"):
        if picture.source not in seen:
            seen.add(picture.source)
            scenes.append((f"{picture.name} ({picture.source})", middle(picture.pixels) / 255))
    scenes.append((_COINS, middle(data.coins().astype(np.float32)) / 255))
    for name, clean in scenes:
        for number, (kind, noise) in enumerate(NOISES.items()):
            (noisy,) = observe(noise, [clean], seed=number)
            yield Task(name, kind, noise, noisy, clean, noisy)


def middle(pixels: Image) -> Image:
    """The central square."""
    top, left = ((n - _SIDE) // 2 for n in pixels.shape)
    return pixels[top : top + _SIDE, left : left + _SIDE]


def restore(method: str, task: Task) -> tuple[Image, Image | None]:
    """A picture by a method, and its standard deviations where the method tells them."""
    if method not in ("told", "auto", "n2v"):
        case = Data(Case("single", task.channel), [task.noisy], [], [task.noisy], [task.clean])
        return METHODS[method].load()(case, FORMS["cpu"][0], 0)[0], None
    noisy = task.raw if method == "auto" else task.noisy
    kind = Masked if method == "n2v" else ImageDenoiser
    denoiser = kind("auto" if method == "auto" else task.channel, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        denoiser.fit(noisy)
        if method == "n2v":
            return denoiser.denoise(noisy), None
        result: tuple[Image, Image] = denoiser.denoise(noisy, return_std=True)
    return result


def run(directory: Path, methods: list[str], report: Callable[[str], object], *, most: int | None = None) -> None:
    """Add the rows that are missing to the file, ``most`` of them."""
    added = 0
    for task in tasks(directory):
        for method in methods:
            rows = pd.read_csv(FILE) if FILE.exists() else pd.DataFrame(columns=["picture", "noise", "method"])
            there = (rows["picture"] == task.picture) & (rows["noise"] == task.noise) & (rows["method"] == method)
            if there.any():
                continue
            if added == most:
                return
            added += 1
            row = measure_row(method, task)
            pd.concat([rows, with_provenance(pd.DataFrame([row]))]).to_csv(FILE, index=False, float_format="%.5g")
            report(f"{task.picture}, {task.noise}, {method}: {row['psnr']:.2f} dB in {row['seconds']:.0f} s")


def measure_row(method: str, task: Task) -> dict[str, Any]:
    """PSNR (of exposures after the best affine map), seconds, and what else is asked."""
    start, cpu = time.perf_counter(), time.process_time()
    image, std = restore(method, task)
    real = task.noise == REAL
    score = affine_psnr(task.clean, image, data_range=255.0) if real else psnr(task.clean, image, data_range=1.0)
    row: dict[str, Any] = {"picture": task.picture, "noise": task.noise, "method": method, "psnr": score}
    row["seconds"], row["cpu_seconds"] = time.perf_counter() - start, time.process_time() - cpu
    told = std is not None and not real
    row["covered"] = float(np.mean(np.abs(image - task.clean) <= _COVERED * std)) if told else np.nan
    return row | (objects(task.clean, image) if task.picture == _COINS else {"iou": np.nan, "f1": np.nan})


def objects(clean: Image, image: Image) -> dict[str, float]:
    """Overlap of the foregrounds by Otsu's threshold, and F1 of objects found, against those of the clean picture."""
    truth, found = (one > filters.threshold_otsu(one) for one in (clean, image))
    wanted, got = (large(measure.label(one)) for one in (truth, found))
    pairs = [(truth_one & got_one).sum() / (truth_one | got_one).sum() for truth_one in wanted for got_one in got]
    matched = sum(pair > 0.5 for pair in pairs)  # of one object with one at most
    return {
        "iou": float((truth & found).sum() / (truth | found).sum()),
        "f1": 2 * matched / max(len(wanted) + len(got), 1),
    }


def large(labels: NDArray[np.int_]) -> list[NDArray[np.bool_]]:
    """The objects that are more than specks, as masks."""
    return [labels == one.label for one in measure.regionprops(labels) if one.area >= _SMALLEST]


def psnr_table(rows: pd.DataFrame) -> str:
    """PSNR in dB, a line a method, a column a picture and noise."""
    rows = rows[rows["picture"] != _COINS]
    columns = list(dict.fromkeys(zip(rows["noise"], rows["picture"], strict=True)))
    lines = ["| method | " + " | ".join(f"{noise}: {name}" for noise, name in columns) + " | seconds |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for method, label in LABELS.items():
        part = rows[rows["method"] == method].set_index(["noise", "picture"])
        if len(part):
            cells = [f"{part['psnr'][key]:.2f}" if key in part.index else "" for key in columns]
            lines.append(f"| {label} | " + " | ".join(cells) + f" | {part['seconds'].median():.0f} |")
    return "\n".join(lines)


def interval_table(rows: pd.DataFrame) -> str:
    """Share of pixels inside 90% intervals."""
    rows = rows[rows["covered"].notna()]
    lines = ["| 90% intervals of | pictures | covered, median | least | most |", "|---|---|---|---|---|"]
    for method, part in rows.groupby("method", sort=False):
        low, middle_, high = part["covered"].quantile([0, 0.5, 1])
        lines.append(f"| {LABELS[str(method)]} | {len(part)} | {middle_:.0%} | {low:.0%} | {high:.0%} |")
    return "\n".join(lines)


def segmentation_table(rows: pd.DataFrame) -> str:
    """Otsu's threshold before and after."""
    rows = rows[rows["picture"] == _COINS]
    lines = ["| coins, segmented | noise | PSNR | IoU of the foreground | F1 of the objects |", "|---|---|---|---|---|"]
    for _, row in rows.iterrows():
        cells = f"{row['psnr']:.2f} | {row['iou']:.3f} | {row['f1']:.2f}"
        lines.append(f"| {LABELS[row['method']]} | {row['noise']} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images.single", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of bsd68.npz and w2s.npz")
    parser.add_argument("--methods", nargs="+", choices=list(LABELS), default=list(LABELS), metavar="METHOD")
    parser.add_argument("--most", type=int, help="rows to run now (default: all that are missing)")
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    options = parser.parse_args()
    run(
        options.data,
        options.methods,
        lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush(),
        most=options.most,
    )
    order = list(LABELS)
    rows = pd.read_csv(FILE).sort_values("method", key=lambda column: column.map(order.index), kind="stable")
    text = "\n\n".join(table(rows) for table in (psnr_table, interval_table, segmentation_table))
    commits, dates = (", ".join(sorted(set(rows[name].astype(str)))) for name in ("commit", "date"))
    text += f"\n\nCommit {commits}; {dates}."
    sys.stdout.write(text + "\n")
    if options.readme:
        replace_table(Path(__file__).with_name("README.md"), text, name="single")


if __name__ == "__main__":
    main()
