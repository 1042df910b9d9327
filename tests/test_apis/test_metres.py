"""Depth of photos of any size: one answer by all ways, that of testing the picture that is seen."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

METRES = 40.0  # times the radius in pixels of a ball as far away, for the training camera


@pytest.fixture
def ranging(infer):
    """Its model tells the distance of a white ball by its size, as the training camera saw it."""
    def predict(inputs, samples, *wanted):
        for row, sample in zip(inputs, samples):
            left, right, top, bottom = sample.padding
            white = row[0, top:row.shape[1] - bottom, left:row.shape[2] - right] > 0
            depth = METRES / (white.sum() / torch.pi).sqrt()
            sample.pred = PixelData(depth=depth.expand(1, *white.shape).clone())
        return samples
    infer.model.predict = predict
    return infer


def photo(scale: int) -> np.ndarray:
    """A ball that is 20 pixels in radius on the training photos, in a photo of more pixels."""
    image = np.zeros((60 * scale, 80 * scale, 3), np.uint8)
    return cv2.circle(image, (40 * scale, 30 * scale), 20 * scale, (255, 255, 255), -1)


def metres(result) -> float:
    assert result.maps['depth'].std() < 1e-5
    return float(result.maps['depth'].mean())


def test_a_photo_has_the_metres_of_the_picture_that_the_model_sees(web_page, ranging, tmp_path):
    """Eight times the pixels of the training photos, shrunk to theirs: right, by all ways."""
    ranging.max_side = 80
    large = photo(8)
    by_hand = cv2.resize(large, (80, 60), interpolation=cv2.INTER_AREA)
    assert metres(ranging(by_hand)) == pytest.approx(METRES / 20, rel=0.05)
    assert metres(ranging(large, progress=False)) == metres(ranging(by_hand))
    cv2.imwrite(str(tmp_path / 'photo.png'), large)
    assert metres(ranging(tmp_path / 'photo.png')) == metres(ranging(by_hand))
    page = web_page.Page(ranging, tmp_path)
    visit, *_ = page.predict(None, str(tmp_path / 'photo.png'), ['depth'], 1)
    assert metres(visit.result) == metres(ranging(by_hand))


def test_the_size_that_all_ways_shrink_to(infer, config, checkpoint, picture):
    from mtpsl.apis import MultiTaskInferencer
    assert infer.window == (512, 512) and infer.max_side == 512
    windowed = MultiTaskInferencer(config, checkpoint, 'cpu', window=(64, 32))
    assert windowed.max_side is None
    assert MultiTaskInferencer(config, checkpoint, 'cpu', max_side=None).max_side is None


@pytest.mark.parametrize('depth', [True, False])
def test_it_is_said_once_that_a_picture_is_shrunk(infer, picture, monkeypatch, depth):
    lines = []
    monkeypatch.setattr('mtpsl.apis.inferencer.print_log', lambda text, *_: lines.append(text))
    infer.max_side = 36
    if not depth:
        monkeypatch.delitem(infer.tasks, 'depth')
    infer([picture, picture], names=['a', 'b'], tasks=['depth' if depth else 'semseg'],
          progress=False)
    assert len(lines) == 1 and 'a, 71 x 50 pixels, is shrunk to 36 x 25 (max_side)' in lines[0]
    assert ('its depth is predicted for the shrunk image' in lines[0]) == depth
