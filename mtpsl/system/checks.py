"""Checks of arguments that all packages share."""

from numbers import Integral


def is_integer(value: object, least: int = 1) -> bool:
    """Return whether a value is an integer of Python or NumPy, no bool, and at least ``least``."""
    return (isinstance(value, Integral) and not isinstance(value, bool)
            and value >= least)  # type: ignore[operator]  # typeshed's Integral has no order
