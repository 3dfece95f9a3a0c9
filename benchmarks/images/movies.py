"""Movies with a known truth: what the frames around an image are worth, beside running means and medians.

``python -m benchmarks.images.movies --data DIR --readme`` runs what ``movies.csv`` lacks, and writes the table.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.images.cases import observe
from benchmarks.report import replace_table, with_provenance
from numpy.typing import NDArray
from scipy import ndimage

from scif.core.noise import Gaussian, NoiseModel, Poisson
from scif.fields.images import ImageDenoiser, psnr

__all__ = ["SCENES", "movie", "table"]

Movie = NDArray[np.float32]
FILE = Path(__file__).with_name("movies.csv")
NOISES: dict[str, NoiseModel] = {"Gaussian, sigma 25": Gaussian(25.0), "Poisson, gain 5": Poisson(5.0)}
SCENES = ("still", "slow", "fast", "flickering", "unrelated")
_SPEED = {"still": 0.0, "slow": 0.5, "fast": 4.0, "flickering": 0.5, "unrelated": 0.0}
"""Pixels that the scene moves from frame to frame."""
_FLASH = 0.5
"""Standard deviation of the logarithm of the brightness from frame to frame, where it flickers."""
FRAMES, SIDE = 12, 96
_CORNER, _DIRECTION = np.array([80.0, 80.0]), np.array([0.6, 0.8])
FIELDS = {"tune": 52, "judge": 1}
"""Micrographs that the movies are made of: one to choose on, another for the table."""
NEIGHBOURS = {f"scif{k}": k for k in (0, 1, 2)}
LABELS = {
    "noisy": "no denoising",
    "mean3": "running mean of 3 frames",
    "mean5": "running mean of 5 frames",
    "median3": "running median of 3 frames",
    "median5": "running median of 5 frames",
    "scif0": "scif, each frame alone (`neighbour_frames=0`)",
    "scif1": "scif, 1 frame on either side",
    "scif2": "scif, 2 frames on either side",
}


def movie(scene: str, directory: Path, *, split: str = "judge") -> Movie:
    """Frames ``(frames, height, width)`` without noise, from 0 to about 255.

    A window goes over the mean of 400 exposures of a micrograph, at half its size, in a straight line. In the
    flickering one the brightness of every patch of the scene changes at random from frame to frame. Unrelated frames
    are of another micrograph each: no movie at all.
    """
    pictures, first = np.load(directory / "w2s.npz")["clean"], FIELDS[split]
    if scene == "unrelated":
        return np.stack([window(pictures[(first + 5 * (k + 1)) % len(pictures)], _CORNER) for k in range(FRAMES)])
    rng = np.random.default_rng(0)
    frames = [window(pictures[first], _CORNER + k * _SPEED[scene] * _DIRECTION) for k in range(FRAMES)]
    if scene == "flickering":
        light = [np.exp(_FLASH * ndimage.zoom(rng.normal(size=(4, 4)), SIDE / 4, order=1)) for _ in frames]
        frames = [
            np.clip(one * brighter, 0, 255).astype(np.float32) for one, brighter in zip(frames, light, strict=True)
        ]
    return np.stack(frames)


def window(picture: NDArray[np.uint8], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """A square of a picture at half its size, which has finer structure and no noise left, at any corner."""
    half = picture.astype(np.float32).reshape(256, 2, 256, 2).mean((1, 3))
    half = half * (255 / np.quantile(half, 0.999))
    whole, margin = np.floor(at).astype(int), 8
    part = half[tuple(slice(a - margin, a + SIDE + margin) for a in whole)]
    part = ndimage.shift(part, whole - at, order=3, mode="nearest")[margin:-margin, margin:-margin]
    return np.clip(part, 0, 255).astype(np.float32)


def restore(method: str, noise: NoiseModel, noisy: Movie, *, steps: int | None) -> Movie:
    """A movie by a method."""
    if method in NEIGHBOURS:
        denoiser = ImageDenoiser(noise, neighbour_frames=NEIGHBOURS[method], seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result: Movie = denoiser.fit(noisy, axes="TYX", max_steps=steps).denoise(noisy, axes="TYX")
        return result
    if method == "noisy":
        return noisy
    size = (int(method[-1]), 1, 1)
    filtered = ndimage.median_filter if method.startswith("median") else ndimage.uniform_filter
    return np.asarray(filtered(noisy, size, mode="mirror"))


def run(options: argparse.Namespace, report: Callable[[str], object]) -> None:
    """Add the rows that are missing to the file, ``most`` of them."""
    added = 0
    for scene, kind, method in cases(options.scenes, options.methods):
        rows = pd.read_csv(options.out) if options.out.exists() else pd.DataFrame(columns=["scene", "noise", "method"])
        if ((rows["scene"] == scene) & (rows["noise"] == kind) & (rows["method"] == method)).any():
            continue
        if added == options.most:
            return
        added += 1
        clean = movie(scene, options.data, split=options.split)
        noisy = np.stack(observe(NOISES[kind], list(clean), seed=1))
        start = time.perf_counter()
        cpu = time.process_time()
        result = restore(method, NOISES[kind], noisy, steps=options.steps)
        row = {"scene": scene, "noise": kind, "method": method}
        row["psnr"] = psnr(clean, result, data_range=255.0)
        row["ends"] = psnr(clean[[0, -1]], result[[0, -1]], data_range=255.0)
        row["seconds"], row["cpu_seconds"] = time.perf_counter() - start, time.process_time() - cpu
        pd.concat([rows, with_provenance(pd.DataFrame([row]))]).to_csv(options.out, index=False, float_format="%.5g")
        report(f"{scene}, {kind}, {method}: {row['psnr']:.2f} dB in {row['seconds']:.0f} s")


def cases(scenes: list[str], methods: list[str]) -> Iterator[tuple[str, str, str]]:
    """All of them, one scene after the other."""
    for scene in scenes:
        for kind in NOISES:
            for method in methods:
                yield scene, kind, method


def table(rows: pd.DataFrame) -> str:
    """PSNR in dB, a line a method, a column a scene and noise; in brackets that of the first and last frame."""
    columns = [(scene, kind) for scene in SCENES for kind in NOISES]
    lines = ["| method | " + " | ".join(f"{scene}: {kind}" for scene, kind in columns) + " | CPU seconds |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for method, label in LABELS.items():
        part = rows[rows["method"] == method].set_index(["scene", "noise"])
        if len(part):
            cells = [f"{part['psnr'][k]:.2f} ({part['ends'][k]:.2f})" if k in part.index else "" for k in columns]
            lines.append(f"| {label} | " + " | ".join(cells) + f" | {part['cpu_seconds'].median():.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images.movies", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of w2s.npz")
    parser.add_argument("--methods", nargs="+", choices=list(LABELS), default=list(LABELS), metavar="METHOD")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES), metavar="SCENE")
    parser.add_argument("--split", choices=list(FIELDS), default="judge", help="micrograph (default: judge)")
    parser.add_argument("--steps", type=int, help="training steps (default: the package's)")
    parser.add_argument("--most", type=int, help="rows to run now (default: all that are missing)")
    parser.add_argument("--out", type=Path, default=FILE, help="file of the rows (default: movies.csv)")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    run(options, lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush())
    rows = pd.read_csv(options.out)
    text = table(rows)
    commits, dates = (", ".join(sorted(set(rows[name].astype(str)))) for name in ("commit", "date"))
    text += f"\n\nCommit {commits}; {dates}."
    sys.stdout.write(text + "\n")
    if options.readme:
        replace_table(Path(__file__).with_name("README.md"), text, name="movies")


if __name__ == "__main__":
    main()
