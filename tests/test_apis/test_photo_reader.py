"""Images are predicted as the config's test pipeline reads them."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from tiny import tiny_model_config

from mtpsl.apis import MultiTaskInferencer
from mtpsl.apis.sources import PhotoReader, collect

LOAD, LABELS, PACK = (dict(type=f'mtpsl.{name}') for name in (
    'LoadImageFromFile', 'LoadLabels', 'PackMultiTaskInputs'))


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / 'photo.png', exif=exif)
    return tmp_path / 'photo.png', pixels[..., ::-1]


def seen(reader, image):
    (source,), _ = collect(image)
    return reader.colour(source.read(reader), source.name)


def test_the_loader_of_the_pipeline(photo):
    path, stored = photo
    upright = np.rot90(stored, -1)
    np.testing.assert_array_equal(seen(PhotoReader(), path), upright)
    np.testing.assert_array_equal(seen(PhotoReader([LOAD, LABELS, PACK]), path), upright)
    np.testing.assert_array_equal(
        seen(PhotoReader([LOAD | dict(orientation='stored')]), path), stored)
    grey = PhotoReader([LOAD | dict(color_type='grayscale')])
    for image in (path, np.ascontiguousarray(upright[..., ::-1])):
        pixels = seen(grey, image)
        assert (pixels == pixels[..., :1]).all() and pixels.std() > 20
    assert np.abs(pixels.astype(int) - seen(grey, path)).max() <= 1


def test_its_colours_once_for_files_and_arrays(photo):
    path, stored = photo
    upright = np.ascontiguousarray(np.rot90(stored, -1))
    reader = PhotoReader([LOAD, LABELS, dict(type='mmseg.AdjustGamma', gamma=2.0), PACK])
    table = np.uint8((np.arange(256) / 255) ** 0.5 * 255)
    for image in (path, Image.fromarray(upright[..., ::-1]), upright[..., ::-1]):
        assert np.abs(seen(reader, image).astype(int) - cv2.LUT(upright, table)).max() <= 1


def test_the_inferencer_takes_that_of_its_config(photo):
    path, _ = photo
    model, outputs = tiny_model_config(), []
    for gamma in (1.0, 3.0):
        pipeline = [LOAD, dict(type='mmseg.AdjustGamma', gamma=gamma), PACK]
        data = dict(dataset=dict(dataset=dict(pipeline=pipeline)))
        with pytest.warns(UserWarning, match='untrained'):
            infer = MultiTaskInferencer(Config(dict(model=model, test_dataloader=data)))
        infer.model.load_state_dict(outputs[0][0].model.state_dict() if outputs else
                                    infer.model.state_dict())
        outputs.append((infer, infer(path).image))
    assert outputs[1][1].mean() > outputs[0][1].mean() + 20


def test_what_moves_pixels_is_refused():
    for step in (dict(type='mtpsl.RandomScale', scale_range=(2, 2)),
                 dict(type='mmcv.Resize', scale=(64, 64))):
        with pytest.raises(ValueError, match='RandomScale'):
            PhotoReader([LOAD, step])


def test_a_loader_that_is_none_of_ours_is_named() -> None:
    def load(results: dict) -> dict:
        return results | dict(img=np.load(results['img_path']))

    load.moves = 'nothing'  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="needs 'img_path'.* must be a subclass of LoadImage"):
        PhotoReader([load]).colour(np.zeros((4, 4, 3), np.uint8), 'a')


def test_a_config_without_test_data_reads_plainly():
    infer = MultiTaskInferencer(Config(dict(model=tiny_model_config(), test_dataloader=None)))
    assert set(infer(np.zeros((64, 64, 3), np.uint8)).maps) == set(infer.tasks)
