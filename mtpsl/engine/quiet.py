"""Silence for what the packages underneath say on every run about nothing a user can change."""

import logging
import warnings

_NOISE = ('FileClient', 'HardDiskBackend', 'MultiScaleDeformableAttention',
          'broadcast_buffers', 'use_reentrant')


def quieten(logger: logging.Logger | None = None) -> None:
    """Filter the known messages out of the warnings and, where there is one, of a logger."""
    for word in _NOISE:
        warnings.filterwarnings('ignore', message=f'.*{word}')
    if logger is not None:
        logger.addFilter(_keep)


def _keep(record: logging.LogRecord) -> bool:
    return not any(word in record.getMessage() for word in _NOISE)
