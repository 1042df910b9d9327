"""Labels that are doubted."""

import cv2
import numpy as np
import pytest
from test_tasks.stored_tasks import build

from mtpsl.tasks.normal import unit_vectors
from mtpsl.tasks.seen import Doubt, Seen


def test_far_depth_is_not_doubted_where_the_unit_is_said() -> None:
    seen = Seen()
    seen.add(np.linspace(200, 300, 600, dtype=np.float32).reshape(20, 30), 0)
    assert build('Depth').doubt(seen) is not None
    assert build('Depth', npy_unit=1.0).doubt(seen) is None


def test_masks_of_1_and_of_255_as_two_classes() -> None:
    maps = {255: [[0, 255]], 1: [[0, 1]], 2: [[1, 255]]}
    seen = {key: Seen() for key in maps}
    for key, values in maps.items():
        seen[key].add(np.array(values, np.uint8), 255)
    mixed, told = Seen.union([seen[255], seen[1]]), Seen.union(list(seen.values()))
    two = dict(class_names=('a', 'b'))
    doubt = build(**two).doubt(mixed)
    assert doubt is not None and doubt.certain and 'values=(0, (1, 255)) for' in doubt.text
    assert build(**two).doubt(told) is build(**two, ignore=(255,)).doubt(mixed) is None
    assert build().doubt(mixed) is None  # of three classes


def test_normals_that_are_all_one_vector() -> None:
    seen, task = Seen(), build('Normal')
    seen.add(np.tile(np.float32([0, 0, 1]), (3, 4, 1)), 0)
    assert (seen.low, seen.high, seen.known) == (0, 1, 36)
    doubt = task.doubt(seen)
    assert doubt is not None and doubt.text == 'hold one vector wherever they are known'
    seen.add(np.tile(np.float32([0, 0.6, 0.8]), (3, 4, 1)), 0)
    assert task.doubt(seen) is None


def test_normals_that_point_away_from_the_viewer_are_doubted() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    vectors[..., 2] = -abs(vectors[..., 2])
    facing = vectors * np.float32([1, 1, -1])
    for published, maps, doubted in (
            (False, [vectors], 'which 92%'), (False, [facing], ''), (True, [vectors], ''),
            (False, [vectors, facing], 'away from the viewer (z < 0), most of them in 1 of the'),
            (False, [facing[..., ::-1]], 'in BGR order')):
        seen = Seen(published)
        for label in maps:
            seen.add(label, 0)
        doubt = build('Normal').doubt(seen)
        assert (doubt is not None) == bool(doubted)
        assert doubt is None or not doubt.certain and doubted in doubt.text
        assert doubt is None or 'save (x, -y, -z)' in doubt.text


def test_unknown_normals_that_are_one_vector_are_named() -> None:
    seen, task = Seen(), build('Normal')
    vectors = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    vectors[..., 2] = abs(vectors[..., 2])
    vectors[:6] = [0, 0, -1]
    for label in (vectors, vectors[:, ::-1]):
        seen.add(task.from_array(unit_vectors(label)), 0)
    doubt = task.doubt(seen)
    assert doubt is not None and '30% are one and the same, (0, 0, -1)' in doubt.text
    assert 'save (0, 0, 0)' in doubt.text
    vectors[:6, :, 0] = np.linspace(-1, 1, 30)
    seen.add(unit_vectors(vectors), 0)
    doubt = task.doubt(seen)
    assert doubt is not None and '(z < 0), while what' in doubt.text


def test_surfaces_at_a_slant_are_not_doubted() -> None:
    vectors = np.zeros((20, 30, 3), np.float32)
    vectors[..., 1:] = [0.8, 0.6]
    vectors[:, :6] = [1, 0, -0.05]  # grazed by the view at the edge
    vectors[0] = [0.8, 0, -0.6]  # noise
    seen = Seen()
    seen.add(vectors, 0)
    assert build('Normal').doubt(seen) is None


def test_boundaries_that_cover_most_pixels_are_doubted() -> None:
    lines = np.zeros((9, 9), np.uint8)
    lines[4] = 1
    seen, inverted, published = Seen(), Seen(), Seen(published=True)
    for number in range(3):
        seen.add(lines if number else 1 - lines, 255)
        inverted.add(1 - lines if number else lines, 255)
        published.add(1 - lines, 255)
    doubt = build('Boundary').doubt(inverted)
    assert doubt is not None and doubt.certain and 'values=(255, 0)' in doubt.text
    doubt = build('Boundary', values=(255, 0)).doubt(inverted)
    assert doubt is not None and not doubt.certain
    assert build('Boundary').doubt(seen) is build('Boundary').doubt(published) is None


@pytest.mark.parametrize('size', [(64, 64), (480, 640), (2160, 3840)])
def test_boundaries_that_are_filled_regions_are_doubted(size: tuple[int, int]) -> None:
    def doubt(width: int, published: bool = False) -> Doubt | None:
        """Of rings so wide in an image of 64 x 64; 32 fill the shape."""
        seen, scale = Seen(published), size[0] // 64
        for radius in range(8, 14):
            canvas = np.zeros(size, np.uint8)
            cv2.circle(canvas, (size[1] // 2, size[0] // 2), radius * scale, 1,
                       -1 if width == 32 else max(width * scale // 2, width))
            seen.add(canvas, 255)
        return build('Boundary').doubt(seen)
    found = doubt(32)
    assert found and 'all over regions' in found.text and not (found.certain or found.mute)
    assert doubt(32, published=True) is doubt(1) is doubt(3) is None


def test_0_and_255_are_as_a_config_says() -> None:
    seen = Seen()
    seen.add(np.uint8([[0, 255]]), 255)
    doubt = build(ignore=(255,)).doubt(seen)
    assert doubt is not None and not doubt.certain and 'one class only, 0' in doubt.text
