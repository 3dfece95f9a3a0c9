"""Making the next item while one is in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from torch.utils.data import DataLoader

__all__ = ["AheadLoader", "ahead"]

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items; a thread makes the next one, no more, while one is in use.

    Examples
    --------
    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, source, end)
            yield item  # type: ignore[misc]  # the end is no item


class AheadLoader(DataLoader[Any]):
    """A data loader whose next minibatch is made while one is in use."""

    def __iter__(self) -> Any:
        return ahead(super().__iter__())
