"""What a look at labels keeps of them."""

import cv2
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


def drawn(draw, *args: object) -> np.ndarray:
    return draw(np.zeros((120, 160), np.uint8), *args)


@pytest.mark.parametrize('label, width', [
    (drawn(cv2.rectangle, (10, 10), (90, 70), 1), 1),
    (drawn(cv2.rectangle, (0, 0), (159, 119), 1), 1),  # along the frame
    (drawn(cv2.line, (0, 0), (119, 119), 1), 1),
    (drawn(cv2.rectangle, (10, 10), (12, 110), 1, -1), 3),
    *((one := drawn(cv2.circle, (80, 60), 50, 1, thick), one.sum() / (2 * np.pi * 50))
      for thick in (1, 2, 3, 5, 7)),
    *((one := drawn(cv2.line, (5, 5), (150, 60), 1, thick), one.sum() / np.hypot(145, 55))
      for thick in (1, 2, 3, 5, 7)),
    (np.full((4, 4), 255, np.uint8), 0), (np.full((4, 4), 2, np.uint8), 0)])
def test_the_width_of_lines_does_not_depend_on_their_number(label: np.ndarray,
                                                            width: float) -> None:
    """It is about the area divided by the length, which is known of circles and lines."""
    seen = Seen()
    seen.add(label, 255)
    seen.add(np.hstack([label, label * 0, label]), 255)
    assert [one.width for one in seen.labels] == pytest.approx([width] * 2, rel=0.13)
