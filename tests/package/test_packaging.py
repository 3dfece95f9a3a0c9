"""What is written twice for packagers stays equal, and nothing large comes into the tree."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import scif

ROOT = Path(__file__).parents[2]
LARGEST = 300_000  # bytes of a figure: a clone stays small, a page loads at once
RENAMED = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split() if (ROOT / name).exists()]


def test_the_conda_recipe_has_the_version_and_the_requirements_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    recipe = (ROOT / "packaging/conda/recipe/meta.yaml").read_text()
    assert f'version = "{scif.__version__}"' in recipe
    run = set(re.findall(r"^    - (.+)$", recipe.partition("  run:\n")[2].partition("  run_constrained:")[0], re.M))
    wanted = {"python " + project["requires-python"]}
    for line in project["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)(.*)", line).groups()
        wanted.add(f"{RENAMED.get(name, name)} {bound}".strip())
    assert run == wanted


def test_figures_are_small():
    large = [path.name for path in tracked("*.png") if path.stat().st_size > LARGEST]
    for path in tracked("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        shown = [output.get("data", {}).get("image/png", "") for cell in cells for output in cell.get("outputs", [])]
        if sum(len(base64.b64decode("".join(figure))) for figure in shown) > LARGEST:
            large.append(path.name)
    assert not large, f"run python -m benchmarks.shrink on {large}"
