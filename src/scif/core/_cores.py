"""Processor cores for whole pieces of work instead of for the parts of every operation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

__all__ = ["cores", "spread"]

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Threads at the most: each holds arrays of its own, and Python lets only one of them run between operations.
MOST = 8


@dataclass(frozen=True)
class _Pool:
    executor: Executor
    size: int


_POOL: ContextVar[_Pool | None] = ContextVar("pool", default=None)


@contextmanager
def cores() -> Iterator[None]:
    """Give the threads of torch to :func:`spread`; an operation has one.

    The threads of one operation wait for each other in a loop. With many small operations that costs more than they
    gain, and where another program has one of the cores each operation waits until that is done: two fits at once
    took 25 times as long as one. As many threads as :func:`torch.get_num_threads` says, eight at the most, and those
    of the linear algebra of numpy are left to rest, too. Numbers do not depend on how many there are.

    Examples
    --------
    >>> import torch
    >>> with cores():
    ...     list(spread(lambda n: n * n, [3, 4], on=torch.device("cpu")))
    [9, 16]
    """
    threads = torch.get_num_threads()
    if _POOL.get() is not None:
        yield
        return
    torch.set_num_threads(1)
    try:
        size = min(threads, MOST)
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(size, initializer=torch.set_num_threads, initargs=(1,)) as executor,
        ):
            token = _POOL.set(_Pool(executor, size) if size > 1 else None)
            try:
                yield
            finally:
                _POOL.reset(token)
    finally:
        torch.set_num_threads(threads)  # threads to come begin with what was set last


def spread(work: Callable[[Item], Result], items: Iterable[Item], *, on: torch.device) -> Iterator[Result]:
    """What ``work`` makes of each item, in order, on several cores within :func:`cores`; a few are made ahead.

    Parameters
    ----------
    work
        Must not change what it shares with others.
    items
        Are taken in this thread.
    on
        Where the work is done. A GPU is kept busy by one thread.
    """
    pool = _POOL.get()
    if pool is None or on.type != "cpu":
        yield from map(work, items)
        return
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def there(item: Item) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):  # each thread has modes of its own
            return work(item)

    coming: deque[Future[Result]] = deque()
    try:
        for item in items:
            coming.append(pool.executor.submit(there, item))
            if len(coming) > pool.size:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for task in coming:
            task.cancel()
