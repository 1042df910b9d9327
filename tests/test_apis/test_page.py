"""What the page's controls do, without a browser (tests/test_tools/test_webapp.py has one)."""

from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest
from mmengine.config import Config
from tiny import tiny_regularized_config

from mtpsl.apis import MultiTaskInferencer, Prediction
from mtpsl.apis.page import Page


@pytest.fixture
def page(infer: MultiTaskInferencer, tmp_path: Path) -> Page:
    (tmp_path / 'files').mkdir()
    return Page(infer, tmp_path / 'files')


@pytest.fixture
def photo(picture: np.ndarray, tmp_path: Path) -> str:
    cv2.imwrite(str(tmp_path / 'photo.png'), picture[..., ::-1])
    return str(tmp_path / 'photo.png')


def test_a_photo_is_shrunk_for_good_and_old_files_go(page, photo):
    """A megapixel of a photo and a stage would be kept for each visitor otherwise."""
    page.infer.max_side = 32
    visit, position, file, heading, shown, _, spread = page.predict(None, photo, ['depth'], 2)
    assert visit.result.image.shape == (23, 32, 3) and position == 3
    assert heading == '### prediction' and [name for _, name in shown] == ['depth']
    assert spread.visible and spread.value
    assert set(np.load(file)) == {'depth', 'depth_initial', 'depth_noisy', 'depth_step2',
                                  'depth_uncertainty'}
    again, *_ = page.predict(visit, photo, ['depth', 'semseg'], 1)
    assert not visit.file.exists() and again.file.exists()
    page.forget(again)
    assert not list(page.folder.rglob('*.npz'))


def test_what_cannot_be_predicted_is_said_and_loses_nothing(page, photo, tmp_path):
    visit, *_ = page.predict(None, photo, ['depth'], 1)
    (tmp_path / 'bad.png').write_bytes(b'no image')
    for image, tasks, message in ((None, ['depth'], 'image first'), (photo, [], 'one task'),
                                  (str(tmp_path / 'bad.png'), ['depth'], 'cannot read')):
        with pytest.raises(gr.Error, match=message):
            page.predict(visit, image, tasks, 1)
    assert visit.file.exists()
    assert page.show(None, 0) == ('', [])


def test_names_of_classes_are_text(page):
    page.infer.tasks['semseg'].class_names = ('background', '<script>', 'b&c')
    page.infer.tasks['semseg'].palette = np.eye(3, dtype=np.uint8) * 255
    result = Prediction('x', np.zeros((1, 2, 3), np.uint8), page.infer.tasks,
                        dict(semseg=np.array([[1, 2]], np.uint8)))
    legend = page.legend(result)
    assert '<script>' not in legend and '&lt;script&gt;' in legend and 'rgb(0, 255, 0)' in legend


def test_a_model_without_denoising_has_one_stage(photo, tmp_path):
    infer = MultiTaskInferencer(Config(dict(model=tiny_regularized_config('ViewConsistency'))),
                                device='cpu')
    page = Page(infer, tmp_path)
    assert page.stages == ['prediction'] and not page.draws_noise
    visit, *_ = page.predict(None, photo, ['normal'], 1)
    assert not visit.result.stages and page.build('baseline').blocks
