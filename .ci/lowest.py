"""Print the lowest versions of direct dependencies that pyproject.toml allows, as a constraints file for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = [line for name, lines in project["optional-dependencies"].items() if name != "all" for line in lines]
for line in [*project["dependencies"], *extras]:
    found = re.fullmatch(r"([\w.-]+)>=([\d.]+)", line)
    if found and found[1] != "torch":  # chosen by TORCH
        sys.stdout.write(f"{found[1]}=={found[2]}.*\n" if found[2].count(".") < 2 else f"{found[1]}=={found[2]}\n")
