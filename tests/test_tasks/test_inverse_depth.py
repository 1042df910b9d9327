"""Inverse depth: what a zoom does to it, and its picture."""

import numpy as np
import pytest
import torch

from mtpsl.tasks.depth import Depth
from mtpsl.tasks.inverse_depth import InverseDepth


def test_zooming_in_brings_the_scene_nearer() -> None:
    """At 8 metres, zoomed by 2: as if at 4 metres, whose inverse is twice as large."""
    metres = np.array([[8.0, 2.0, 0.0]], np.float32)
    inverse = np.array([[1 / 8, 1 / 2, 0.0]], np.float32)
    nearer = Depth().rescale(metres, 2.0)
    np.testing.assert_allclose(InverseDepth().rescale(inverse, 2.0)[:, :2], 1 / nearer[:, :2])
    np.testing.assert_allclose(InverseDepth().rescale(inverse, 2.0), [[1 / 4, 1, 0]])


def test_the_predecessors_divide() -> None:
    inverse = np.array([[0.3, 0.0]], np.float32)
    parity = InverseDepth(divide_when_zoomed=True).rescale(inverse, 1.5)
    np.testing.assert_allclose(parity, [[0.2, 0]])
    assert parity.dtype == np.float32


def test_errors_are_in_its_own_unit() -> None:
    task = InverseDepth()
    scores = task.score(task.stats(torch.tensor([0.1, 0.4, 0.9]).view(1, 1, 1, 3),
                                   torch.tensor([0.2, 0.2, 0.0]).view(1, 1, 1, 3)))
    assert scores['absErr'] == pytest.approx(0.15)


def test_near_is_bright_in_both_pictures() -> None:
    metres = np.array([[[1.0, 2.0, 10.0, 0.0]]], np.float32)
    inverse = np.divide(1, metres, out=np.zeros_like(metres), where=metres > 0)
    for task, label in ((Depth(max_display=10), metres), (InverseDepth(max_display=1), inverse)):
        picture = task.colorize(label).astype(int).sum(2)[0]
        assert picture[0] > picture[1] > picture[2]
        assert 'unknown' in task.legend(label)
    assert list(InverseDepth(max_display=0.5).legend(inverse[..., :3])) == ['0.05', '0.25', '0.5']


@pytest.mark.parametrize('kind', [Depth, InverseDepth])
@pytest.mark.parametrize('name', ['max_display', 'png_unit'])
def test_lengths_must_be_positive(kind: type, name: str) -> None:
    with pytest.raises(ValueError, match=f'{kind.__name__}: {name} must be .* above 0.* got 0'):
        kind(**{name: 0})
