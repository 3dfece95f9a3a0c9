"""Processor cores: independent pieces of work run in parallel, and each tensor operation in one thread."""

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

MOST = 8
"""Largest number of threads: each holds arrays of its own, and Python runs only one of them between operations."""


@dataclass(frozen=True)
class _Pool:
    executor: Executor
    size: int


_POOL: ContextVar[_Pool | None] = ContextVar("pool", default=None)


@contextmanager
def cores() -> Iterator[None]:
    """Give torch's threads to :func:`spread`; a tensor operation keeps one.

    The threads of one operation wait for each other in a busy loop. With many small operations this costs more than it
    gains, and on a shared machine every operation waits for the slowest core: two fits at once took 25 times as long
    as one. The pool has :func:`torch.get_num_threads` threads, eight at most; NumPy's linear algebra keeps one, too.
    Results do not depend on the number of threads.

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
    """Apply a function to each item, in order, on several cores inside :func:`cores`; a few results are computed ahead.

    Parameters
    ----------
    work
        Function of one item. It must not change state that it shares with other calls.
    items
        Items, consumed in the calling thread.
    on
        Device of the computation; one thread keeps a GPU busy.
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
