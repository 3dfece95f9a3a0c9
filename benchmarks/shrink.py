"""Bring figures in the tree below 300 KB: ``python -m benchmarks.shrink FILE ...`` (.png, .ipynb).

256 colours first; where that is not enough, fewer pixels.
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
"""Bytes; a test refuses figures above 300,000."""


def shrink(figure: bytes) -> bytes:
    """The figure, unchanged if it is small enough."""
    if len(figure) <= LARGEST:
        return figure
    image = Image.open(io.BytesIO(figure)).convert("RGB")
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.3):
        size = (round(image.width * scale), round(image.height * scale))
        smaller = image if scale == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        written = io.BytesIO()
        smaller.quantize(256, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() <= LARGEST:
            return written.getvalue()
    msg = f"the figure of {image.width} x {image.height} pixels does not go below {LARGEST} bytes; draw it smaller."
    raise ValueError(msg)


def _shrink_notebook(path: Path) -> None:
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                figure = base64.b64decode("".join(data["image/png"]))
                data["image/png"] = base64.b64encode(shrink(figure)).decode()
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
