"""What Lightning says that nobody has asked for."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep Lightning from telling about the hardware, its makers' services, torch's plans and missing validation data.

    Its warnings, and what its callbacks say, such as that training stops early, are left as they are.
    """
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(validation_step|LeafSpec).*")
            yield
    finally:
        logger.setLevel(level)
