"""The whole way through files."""

from __future__ import annotations

import pytest

from scif.cli import main
from scif.fields.fluids import read_fields


def test_simulate_invert_evaluate(tmp_path, capsys) -> None:
    flows, found = str(tmp_path / "flows.nc"), str(tmp_path / "found.nc")
    assert main(["fluid", "simulate", flows, "--fields", "24", "--size", "16", "--sigma", "0.05"]) == 0
    told = ["--viscosity", "0.05", "--duration", "1", "--sigma", "0.05", "--max-steps", "2", "--width", "4"]
    assert main(["fluid", "invert", flows, found, *told, "--spread"]) == 0
    data = read_fields(found)
    assert set(data.data_vars) == {"initial", "initial_std"}
    assert data["initial"].attrs["units"] == "s-1"
    assert data["initial"].sizes == {"sample": 24, "y": 16, "x": 16}
    assert main(["fluid", "evaluate", flows, found]) == 0
    assert "found.nc" in capsys.readouterr().out
    assert main(["fluid", "invert", flows, found, *told]) == 2


@pytest.mark.parametrize("extra", [["--variable", "pressure"], []])
def test_refusals_come_before_training(tmp_path, capsys, extra) -> None:
    flows = str(tmp_path / "flows.nc")
    main(["fluid", "simulate", flows, "--fields", "4", "--size", "16"])
    out = str(tmp_path / ("a.nc" if extra else "absent/a.nc"))
    assert main(["fluid", "invert", flows, out, "--viscosity", "0.05", "--duration", "1", *extra]) == 2
    assert ("pressure" if extra else "does not exist") in capsys.readouterr().err
