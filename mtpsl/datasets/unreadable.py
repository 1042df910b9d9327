"""Files that turn out unreadable while a model is trained."""

ON_ERROR = ('raise', 'skip')
# Unreadable images in a row after which it is not the files' fault but the folder's, or the code's.
SKIPPED_AT_MOST = 50


class UnreadableFileError(ValueError):
    """An image or label file that is missing, damaged or holds what it must not."""


class MixedCodingsError(ValueError):
    """A label whose numbers are written in another way than those of another of its set."""


def check_on_error(on_error: str) -> None:
    """Raise ValueError unless it is one of ``ON_ERROR``."""
    if on_error not in ON_ERROR:
        raise ValueError(f'on_error must be one of {", ".join(map(repr, ON_ERROR))}, got '
                         f'{on_error!r}')
