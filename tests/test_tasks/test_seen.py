"""What a look at labels keeps of them."""

import numpy as np
import pytest

from mtpsl.tasks.seen import KEPT, Seen


@pytest.mark.parametrize('size', [(1000, 750), (500, 1000), (480, 640), (7, 9)])
def test_the_values_that_are_kept_are_from_all_over_a_map(size: tuple[int, int]) -> None:
    """Not from one column, as with a stride of the map's width."""
    label = np.full(size, 2.0, np.float32)
    label[:, 0] = 1.0
    seen = Seen()
    seen.add(label, 0.0)
    values = seen.labels[0].some
    assert len(values) == min(label.size, KEPT)
    assert (values == 1).mean() < max(3 / size[1], 0.2)
