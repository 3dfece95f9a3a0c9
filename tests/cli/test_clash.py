"""The other project named scif is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import scif

OURS = Path(scif.__file__).parent

RECORD = "scif/__init__.py,,\nscif/main/__init__.py,,\n"
METADATA = "Metadata-Version: 2.1\nName: scif\nVersion: 0.0.84\nSummary: scientific filesystem\n"


@pytest.fixture
def site(tmp_path):
    """A folder that holds the other project, as pip leaves it."""
    info = tmp_path / "scif-0.0.84.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "RECORD").write_text(RECORD)
    (tmp_path / "scif").mkdir()
    (tmp_path / "scif" / "__init__.py").write_text("")  # Python lists files that are there alone
    return tmp_path


def version(*paths: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path[:0] = {[str(p) for p in paths]!r}; from scif.cli import main; main(['--version'])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_nothing_is_said_where_there_is_no_clash(tmp_path):
    done = version(OURS.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_other_project_is_named_beside_ours(site):
    done = version(OURS.parent, site)
    assert done.returncode == 0
    assert done.stdout.split() == ["scif", scif.__version__]
    assert len(done.stderr.splitlines()) == 1
    assert "scientific filesystem" in done.stderr
    assert "pip uninstall scif" in done.stderr


def test_the_other_project_in_place_of_ours_is_refused(site):
    package = site / "scif"  # its __init__.py lies over ours, the rest of ours is there
    for part in OURS.iterdir():
        if part.name != "__init__.py":
            (package / part.name).symlink_to(part)
    done = version(site)
    assert done.returncode == 1
    assert "pip install --force-reinstall --no-deps scif-tools" in done.stderr
