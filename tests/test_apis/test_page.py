"""What the page's controls do, without a browser (tests/test_tools/test_webapp.py has one)."""

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from tiny import tiny_regularized_config

from mtpsl.apis import MultiTaskInferencer, Prediction


@pytest.fixture
def page(web_page: ModuleType, infer: MultiTaskInferencer, tmp_path: Path) -> object:
    (tmp_path / 'files').mkdir()
    return web_page.Page(infer, tmp_path / 'files')


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


def test_what_cannot_be_predicted_is_said_and_loses_nothing(gr, page, photo, tmp_path):
    visit, *_ = page.predict(None, photo, ['depth'], 1)
    (tmp_path / 'bad.png').write_bytes(b'no image')
    for image, tasks, message in ((None, ['depth'], 'image first'), (photo, [], 'one task'),
                                  (str(tmp_path / 'bad.png'), ['depth'], 'cannot read')):
        with pytest.raises(gr.Error, match=message):
            page.predict(visit, image, tasks, 1)
    assert visit.file.exists()
    assert page.show(None, 0) == ('', [])


def test_each_visitor_has_files_of_his_own(page, photo):
    """Gradio shares the file of an array among all who see it, and rewrites it for each."""
    for _ in range(2):
        visit, *_, shown, _, _ = page.predict(None, photo, ['depth', 'normal'], 2)
        initial = page.show(visit, 0)[1]
        own = [path for path, _ in (*shown, *initial)]
        assert all(Path(path).parents[1] == visit.file.parent for path in own)
        path, name = shown[0]
        np.testing.assert_array_equal(cv2.imread(path)[..., ::-1], visit.result.picture(name))
        assert page.show(visit, 0)[1] == initial  # not written again
    assert len(list(page.folder.glob('*/initial/*.png'))) == 4
    page.forget(visit)
    assert len(list(page.folder.glob('*/initial/*.png'))) == 2


def test_the_photo_s_name_is_that_of_the_result(page, photo):
    visit, *_ = page.predict(None, photo, ['depth'], 1)
    assert visit.result.name == 'photo'
    np.testing.assert_array_equal(visit.result.maps['depth'],
                                  page.infer(photo, tasks=['depth']).maps['depth'])


def test_errors_do_not_show_where_the_server_keeps_files(
        web_page, gr, page, photo, tmp_path, monkeypatch):
    (tmp_path / 'bad.png').write_bytes(b'no image')
    for image in (str(tmp_path / 'bad.png'), str(tmp_path / 'gone.png')):
        with pytest.raises(gr.Error) as error:
            page.predict(None, image, ['depth'], 1)
        assert str(tmp_path) not in str(error.value) and Path(image).name in str(error.value)

    def fail(*_, **__):
        raise RuntimeError(f'a kernel of {tmp_path} failed')
    monkeypatch.setattr(page, 'infer', fail)
    fail.max_side = None
    with pytest.raises(gr.Error, match=r'The prediction failed \(Runti.*; see the log') as error:
        page.predict(None, photo, ['depth'], 1)
    assert str(tmp_path) not in str(error.value)


def test_gradio_leaves_reading_an_upload_to_the_page(web_page, gr, page, tmp_path):
    """What Gradio says of a file that it cannot read names the server's folder."""
    (tmp_path / 'bad.png').write_bytes(b'no image')
    blocks = page.build('x').blocks.values()
    (image,) = [block for block in blocks if isinstance(block, gr.Image)]
    payload = web_page.ImageData(path=str(tmp_path / 'bad.png'), orig_name='bad.png')
    assert image.preprocess(payload) == str(tmp_path / 'bad.png')
    assert image.preprocess(None) is None
    with pytest.raises(gr.Error, match='as a file'):
        image.preprocess(web_page.ImageData(url='data:image/png;base64,xx'))


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
        web_page, gr, page, tmp_path, monkeypatch):
    monkeypatch.setattr(web_page.Page, '_result', lambda self, image, *_: (
        web_page.check_pixels(image)))
    Image.new('1', (12_000, 9_000)).save(tmp_path / 'large.png')  # a file of a few kilobytes
    with pytest.raises(gr.Error, match='up to 100 megapixels, this one has 12000 x 9000'):
        page.predict(None, str(tmp_path / 'large.png'), ['depth'], 1)
    Image.new('1', (30_000, 30_000)).save(tmp_path / 'large.png')
    with pytest.raises(gr.Error, match='up to 100 megapixels, this one has more'):
        page.predict(None, str(tmp_path / 'large.png'), ['depth'], 1)


def test_uploads_have_a_limit(web_page, gr, infer, monkeypatch):
    launched = {}
    monkeypatch.setattr(gr.Blocks, 'launch', lambda self, **options: launched.update(options))
    monkeypatch.setattr(gr.Blocks, 'block_thread', lambda self: None)
    monkeypatch.setattr('signal.signal', lambda *_: None)
    monkeypatch.setattr('mtpsl.apis.web_page.check_address', lambda *_: None)
    web_page.serve(infer, 'x', '127.0.0.1', 7860)
    assert launched['max_file_size'] == 50 * 2 ** 20
    web_page.serve(infer, 'x', '127.0.0.1', 7860, max_upload=3)
    assert launched['max_file_size'] == 3 * 2 ** 20


def test_names_of_classes_are_text(page):
    page.infer.tasks['semseg'].class_names = ('background', '<script>', 'b&c')
    page.infer.tasks['semseg'].palette = np.eye(3, dtype=np.uint8) * 255
    result = Prediction('x', np.zeros((1, 2, 3), np.uint8), page.infer.tasks,
                        dict(semseg=np.array([[1, 2]], np.uint8)))
    legend = page.legend(result)
    assert '<script>' not in legend and '&lt;script&gt;' in legend and 'rgb(0, 255, 0)' in legend


def test_a_model_without_denoising_has_one_stage(web_page, photo, tmp_path):
    infer = MultiTaskInferencer(Config(dict(model=tiny_regularized_config('ViewConsistency'))),
                                device='cpu')
    page = web_page.Page(infer, tmp_path)
    assert page.stages == ['prediction'] and not page.draws_noise
    visit, *_ = page.predict(None, photo, ['normal'], 1)
    assert not visit.result.stages and page.build('baseline').blocks


def test_a_note_and_samples_are_shown_and_a_click_on_one_predicts(web_page, infer, photo, tmp_path):
    blocks = web_page.Page(infer, tmp_path, 'Knows *scenes* only.', [photo]).build('name')
    parts = blocks.config['components']
    assert [part['props']['value'] for part in parts if part['props'].get('elem_id') == 'note'] == [
        '**Knows *scenes* only.**']
    row, = [part for part in parts if part['type'] == 'dataset']
    assert len(row['props']['samples']) == 1
    # What the click sets off, and then the prediction.
    clicked = [step for step in blocks.config['dependencies']
               if [row['id'], 'click'] in map(list, step['targets'])]
    assert clicked
    after = [step for step in blocks.config['dependencies']
             if step['trigger_after'] in {one['id'] for one in clicked}]
    assert [step['api_name'].startswith('predict') for step in after] == [True]
    plain = web_page.Page(infer, tmp_path).build('name').config['components']
    assert not [part for part in plain if part['type'] == 'dataset'
                or part['props'].get('elem_id') == 'note']
