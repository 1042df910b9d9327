"""Windows cover images, and blending leaves what they agree on."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mtpsl.apis.windows import WindowMerger, blend_weights, window_positions
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import build_tasks


def test_positions_by_hand():
    assert window_positions((40, 50), (64, 64), 0.5) == [(0, 0, 40, 50)]
    assert window_positions((64, 64), (64, 64), 0.5) == [(0, 0, 64, 64)]
    # A room of 36 by steps of at most 32 takes two; a side that fits has one start.
    assert window_positions((100, 30), (64, 64), 0.5) == [(0, 0, 64, 30), (18, 0, 64, 30),
                                                   (36, 0, 64, 30)]
    assert window_positions((128, 65), (64, 64), 0) == [(0, 0, 64, 64), (0, 1, 64, 64),
                                                 (64, 0, 64, 64), (64, 1, 64, 64)]


@pytest.mark.parametrize('size, window, overlap', [
    ((301, 207), (64, 96), 1 / 3), ((129, 1), (64, 64), 0.9), ((500, 700), (7, 5), 0.5)])
def test_every_pixel_is_covered_with_the_overlap(size, window, overlap):
    seen = np.zeros(size, int)
    windows = window_positions(size, window, overlap)
    for top, left, height, width in windows:
        assert top >= 0 and left >= 0 and top + height <= size[0] and left + width <= size[1]
        seen[top:top + height, left:left + width] += 1
    assert seen.min() >= 1
    tops, lefts = (sorted({w[axis] for w in windows}) for axis in (0, 1))
    for starts, side in ((tops, window[0]), (lefts, window[1])):
        for first, second in zip(starts, starts[1:]):
            assert first + side - second >= int(side * overlap) - 1


def test_the_pyramid_by_hand():
    expected = torch.tensor([[0.25 * 0.5, 0.25 * 0.5], [0.75 * 0.5, 0.75 * 0.5]])
    torch.testing.assert_close(blend_weights(4, 2)[:2], expected)
    torch.testing.assert_close(blend_weights(4, 2), blend_weights(4, 2).flip(0))
    assert (blend_weights(5, 1) > 0).all()


def test_overlapping_windows_are_averaged_by_their_weights():
    tasks = build_tasks(dict(depth=dict(type='Depth'), normal=dict(type='Normal')))
    mosaic = WindowMerger((2, 6), 2, tasks)
    x, y = torch.tensor([1., 0, 0]), torch.tensor([0., 1, 0])
    for value, vector, left in ((1.0, x, 0), (3.0, y, 2)):
        sample = MultiTaskSample(pred=PixelData(
            depth=torch.full((1, 2, 4), value), normal=vector[:, None, None].expand(3, 2, 4)),
            uncertainty=PixelData(normal=torch.full((1, 2, 4), value)))
        assert mosaic.left
        mosaic.add(sample, (0, left, 2, 4))
    assert not mosaic.left
    found = {(stage, name): values for stage, name, values in mosaic.maps((2, 6))}
    maps = {name: values for (stage, name), values in found.items() if stage == 'pred'}
    assert found['uncertainty', 'normal'][0, 0].tolist() == pytest.approx([1, 1, 1.5, 2.5, 3, 3])
    # Columns 2 and 3 are seen by both, with weights 0.75 : 0.25 and 0.25 : 0.75.
    assert maps['depth'][0, 0].tolist() == pytest.approx([1, 1, 1.5, 2.5, 3, 3])
    torch.testing.assert_close(maps['normal'][:, 0, 2], torch.tensor([3., 1, 0]) / 10 ** 0.5)


@pytest.mark.parametrize('windows', [1, 2])
def test_small_images_stay_on_the_device_and_large_ones_go_to_the_cpu(windows, monkeypatch):
    tasks = build_tasks(dict(semseg=dict(type='Semseg'), normal=dict(type='Normal')))

    def merge(size):
        merger = WindowMerger((4, 6), windows, tasks)
        for left in (0, 2)[:windows]:
            width = 6 if windows == 1 else 4
            merger.add(MultiTaskSample(pred=PixelData(
                semseg=torch.zeros(21, 4, width, device='meta'),
                normal=torch.zeros(3, 4, width, device='meta'))), (0, left, 4, width))
        return [(values.device.type, tasks[name].decode(values[None]).shape)
                for _, name, values in merger.maps(size)]

    for size in ((4, 6), (8, 12)):
        assert merge(size) == [('meta', (1, 1, *size)), ('meta', (1, 3, *size))]
    monkeypatch.setattr('mtpsl.apis.windows.DEVICE_PIXELS', 50)
    with pytest.raises(NotImplementedError, match='meta'):  # a copy to the CPU, before enlarging
        merge((8, 12))
    monkeypatch.setattr('mtpsl.apis.windows.DEVICE_PIXELS', 20)
    with pytest.raises(NotImplementedError, match='meta'):
        merge((4, 6))
