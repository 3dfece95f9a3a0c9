"""The model gives what it gave: golden numbers, equal where machine and libraries are the same."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from tests.counts.golden import CASES, FILE, machine, summary

#: Relative change of sums that another machine may make: without vector instructions it is 0.006 at the most.
OTHER_MACHINE = 0.05
KEPT = json.loads(FILE.read_text())


@pytest.mark.trains
@pytest.mark.parametrize("name", ["in_memory", "batches", "negative_binomial", "without_anchor"])
def test_numbers_are_those_of_the_file(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = summary(CASES[name]())
    same = machine() == KEPT["machine"]
    for array, facts in found.items():
        kept = KEPT["cases"][name][array]
        if same:
            np.testing.assert_allclose(facts["entries"], kept["entries"], rtol=1e-6, atol=1e-7, err_msg=array)
        rtol = 1e-6 if same else OTHER_MACHINE
        np.testing.assert_allclose(facts["sum"], kept["sum"], rtol=rtol, atol=1e-5, err_msg=array)
