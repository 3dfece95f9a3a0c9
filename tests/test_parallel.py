"""Work that is spread over cores gives what it would give on one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from scif.parallel import MOST, cores, spread

CPU = torch.device("cpu")


def test_results_are_in_order_and_made_in_several_threads(threads: int) -> None:
    together = threading.Barrier(threads)  # passed only by work in as many threads at once

    def work(i: int) -> int:
        together.wait(timeout=20)
        return i * i

    with cores():
        assert list(spread(work, range(2 * threads), on=CPU)) == [i * i for i in range(2 * threads)]


def test_only_a_few_results_are_made_ahead(threads: int) -> None:
    asked = []

    def items() -> Iterator[int]:
        for i in range(50):
            asked.append(i)
            yield i

    with cores():
        for i in spread(lambda i: i, items(), on=CPU):
            assert len(asked) <= i + 1 + threads


def test_an_operation_has_one_thread_within_and_all_of_them_after(threads: int) -> None:
    with cores():
        assert torch.get_num_threads() == 1
        with cores():  # changes nothing
            assert set(spread(lambda _: torch.get_num_threads(), range(9), on=CPU)) == {1}
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
    seen: list[int] = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [threads]


def test_without_cores_or_with_one_or_on_a_gpu_work_is_done_here(threads: int) -> None:
    here = threading.get_ident()

    def elsewhere(on: torch.device) -> bool:
        return any(thread != here for thread in spread(lambda _: threading.get_ident(), range(5), on=on))

    assert not elsewhere(CPU)
    with cores():
        assert elsewhere(CPU)
        assert not elsewhere(torch.device("meta"))
    torch.set_num_threads(1)
    with cores():
        assert not elsewhere(CPU)


def test_work_may_be_spread_from_within_work(threads: int) -> None:
    def work(i: int) -> int:
        return sum(spread(lambda j: i * j, range(4), on=CPU))

    with cores():
        assert list(spread(work, range(20), on=CPU)) == [6 * i for i in range(20)]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_modes_of_torch_go_along(threads: int, mode: type) -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    with cores(), mode():
        assert set(spread(modes, range(9), on=CPU)) == {modes(0)}


def test_an_error_comes_out_where_its_result_would(threads: int) -> None:
    def work(i: int) -> int:
        if i == 3:
            raise OSError("the disk is gone")
        return i

    with cores():
        found = spread(work, range(9), on=CPU)
        assert [next(found) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            next(found)
    assert torch.get_num_threads() == threads
    with cores():  # and there are cores again
        assert list(spread(abs, [-1, -2], on=CPU)) == [1, 2]


def test_threads_are_eight_at_the_most() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(MOST + 4)
    try:
        with cores():
            used = set(spread(lambda _: np.linalg.svd(np.ones((60, 60))) and threading.get_ident(), range(99), on=CPU))
    finally:
        torch.set_num_threads(before)
    assert len(used) <= MOST
