"""Silence for what the packages underneath say on every run about nothing a user can change."""

import logging
import warnings

_NOISE = ('FileClient', 'HardDiskBackend', 'MultiScaleDeformableAttention')


def quieten() -> None:
    """Filter the known messages out of the warnings and of mmengine's logs."""
    for word in _NOISE:
        warnings.filterwarnings('ignore', message=f'.*{word}')
    for name in ('mmengine', 'current'):
        logging.getLogger(name).addFilter(_keep)


def _keep(record: logging.LogRecord) -> bool:
    return not any(word in record.getMessage() for word in _NOISE)
