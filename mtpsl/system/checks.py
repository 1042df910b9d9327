"""What values of arguments must be, wherever they are given."""

from numbers import Integral


def is_integer(value: object, least: int = 1) -> bool:
    """Whether a value is an integer, of Python or NumPy and no bool, and not below ``least``."""
    return (isinstance(value, Integral) and not isinstance(value, bool)
            and value >= least)  # type: ignore[operator]  # typeshed's Integral has no order
