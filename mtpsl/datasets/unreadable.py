"""Errors of unreadable files, and what training does about them."""

ON_ERROR = ('raise', 'skip')
# After so many unreadable images in a row the fault is not in single files: stop.
SKIPPED_AT_MOST = 50


class UnreadableFileError(ValueError):
    """An image or label file is missing, damaged or has invalid content."""


class MixedCodingsError(ValueError):
    """A label file is encoded differently from another file of its dataset."""


def check_on_error(on_error: str) -> None:
    """Raise ValueError unless it is one of ``ON_ERROR``."""
    if on_error not in ON_ERROR:
        raise ValueError(f'on_error must be one of {", ".join(map(repr, ON_ERROR))}, got '
                         f'{on_error!r}')
