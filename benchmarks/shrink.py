"""Bring figures in the tree below 300 KB: ``python -m benchmarks.shrink FILE ...`` (.png, .ipynb).

The figures of a notebook share the 300 KB. 256 colours first; where that is not enough, fewer pixels.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

from PIL import Image

__all__ = ["LARGEST", "shrink"]

LARGEST = 290_000
"""Bytes of a figure, or of all figures of a notebook; a test refuses more than 300,000."""


def shrink(figure: bytes, largest: int = LARGEST) -> bytes:
    """The figure, unchanged if it has at most ``largest`` bytes."""
    if len(figure) <= largest:
        return figure
    image = Image.open(io.BytesIO(figure)).convert("RGB")
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.3):
        size = (round(image.width * scale), round(image.height * scale))
        smaller = image if scale == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        written = io.BytesIO()
        smaller.quantize(256, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() <= largest:
            return written.getvalue()
    msg = f"the figure of {image.width} x {image.height} pixels does not go below {largest} bytes; draw it smaller."
    raise ValueError(msg)


def _shrink_notebook(path: Path) -> None:
    """Shrink all figures by the same share, where they have too many bytes together."""
    notebook = json.loads(path.read_text())
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    shown = [data for data in outputs if "image/png" in data]
    figures = [base64.b64decode("".join(data["image/png"])) for data in shown]
    total = sum(map(len, figures))
    for data, figure in zip(shown, figures, strict=True):
        largest = len(figure) * LARGEST // max(total, LARGEST)
        data["image/png"] = base64.b64encode(shrink(figure, largest)).decode()
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Shrink what is named."""
    for path in map(Path, sys.argv[1:]):
        if path.suffix == ".ipynb":
            _shrink_notebook(path)
        else:
            path.write_bytes(shrink(path.read_bytes()))


if __name__ == "__main__":
    main()
