"""Filters for harmless warnings of dependencies."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger

_NOISE = ('FileClient', 'HardDiskBackend', 'MultiScaleDeformableAttention',
          'broadcast_buffers', 'use_reentrant', "'pin_memory' argument is set as true")


def quieten(logger: logging.Logger | None = None) -> None:
    """Filter the known messages out of warnings and of a logger, if one is given."""
    for word in _NOISE:
        warnings.filterwarnings('ignore', message=f'.*{word}')
    if logger is not None:
        logger.addFilter(_keep)


@contextmanager
def silence() -> Iterator[None]:
    """Limit mmengine's current logger to errors inside the context.

    ``logging.disable`` does not do: mmengine's loggers cache it.
    """
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _keep(record: logging.LogRecord) -> bool:
    return not any(word in record.getMessage() for word in _NOISE)
