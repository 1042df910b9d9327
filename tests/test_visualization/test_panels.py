"""Where a panel shows what, in which colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from mtpsl.engine.visualization import MultiTaskVisualizer, draw_panel, paint_uncertainty, panels
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import titles

TASKS = {name: dict(type=name.capitalize())
         for name in ('semseg', 'parsing', 'saliency', 'normal', 'boundary', 'depth')}
MISSING = (236, 236, 236)


def noise(size: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def find(panel: np.ndarray, picture: np.ndarray) -> tuple[int, int]:
    """Row and column of the one place where the picture lies in the panel, to the pixel."""
    # In grey first, where rounding alone may leave a difference.
    distance = cv2.matchTemplate(*(x.mean(2).astype(np.float32) for x in (panel, picture)),
                                 cv2.TM_SQDIFF)
    rows, columns = np.nonzero(distance < picture.size)
    places = [(row, column) for row, column in zip(rows.tolist(), columns.tolist())
              if np.array_equal(panel[row:row + len(picture), column:column + picture.shape[1]],
                                picture)]
    assert len(places) == 1
    return places[0]


@pytest.mark.parametrize('size', [(160, 200), (240, 161), (161, 300)])
def test_pictures_form_a_grid(size: tuple[int, int]) -> None:
    """Stages from top to bottom, tasks from left to right, the input left of the first stage."""
    image = noise(size, 0)
    rows, columns = ['truth', 'denoised'], ['a', 'b', 'c']
    pictures = {(row, column): noise(size, 10 * r + c + 1) for r, row in enumerate(rows)
                for c, column in enumerate(columns)}
    panel = draw_panel(image, rows, columns, pictures, {})
    places = {key: find(panel, picture) for key, picture in pictures.items()}
    tops = [{places[row, column][0] for column in columns} for row in rows]
    lefts = [{places[row, column][1] for row in rows} for column in columns]
    assert [len(line) for line in tops + lefts] == [1] * 5
    (first,), (second,) = tops
    (a,), (b,), (c,) = lefts
    top, left = find(panel, image)
    assert top == first and second - first > size[0]
    assert left + size[1] < a and b - a == c - b > size[1]
    gap = b - a - size[1]
    assert panel.shape == (second + size[0] + gap, c + size[1] + gap, 3)
    assert panel.dtype == np.uint8
    assert (panel[-gap:] == 255).all() and (panel[:, -gap:] == 255).all()


def test_small_pictures_are_enlarged_by_whole_pixels() -> None:
    image, picture = noise((40, 50), 0), noise((40, 50), 1)
    panel = draw_panel(image, ['truth'], ['a'], {('truth', 'a'): picture}, {})
    find(panel, picture.repeat(4, 0).repeat(4, 1))
    find(panel, image.repeat(4, 0).repeat(4, 1))


def test_a_missing_picture_is_shown_as_missing() -> None:
    """A grey field of a picture's size, with something written on it, and no other such field."""
    size = (160, 160)
    panel = draw_panel(noise(size, 0), ['truth'], ['a', 'b'], {('truth', 'b'): noise(size, 1)}, {})
    grey = (panel == MISSING).all(2).astype(np.uint8)  # specks are edges of letters
    _, _, boxes, _ = cv2.connectedComponentsWithStats(grey)
    field, = [box.tolist() for box in boxes[1:] if box[cv2.CC_STAT_AREA] > 100]
    left, top, width, height, area = field
    assert (height, width) == size and 0.9 < area / (width * height) < 1
    place = find(panel, noise(size, 1))
    assert top == place[0] and left + width < place[1]


def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that will be written, in order."""
    words = []
    text = panels.ImageDraw.ImageDraw.text

    def record(self: object, xy: tuple[float, float], words_: str, *args: object,
               **named: object) -> None:
        words.append(words_)
        text(self, xy, words_, *args, **named)

    monkeypatch.setattr(panels.ImageDraw.ImageDraw, 'text', record)
    return words


def test_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = written(monkeypatch)
    size = (160, 160)
    draw_panel(noise(size, 0), ['truth', 'final'], ['a', 'b'], {('truth', 'a'): noise(size, 1)},
               dict(a=dict(cat=(250, 0, 0), dog=(0, 250, 0)), b={}), 'the title')
    assert words == ['a', 'cat', 'dog', 'the title', 'input', 'a', 'b', 'truth', 'no label',
                     'final', 'no label', 'no label']


def test_legend_wraps_inside_the_panel() -> None:
    """Forty entries: each swatch is there once, and the panel grows downwards only."""
    size = (160, 160)
    colours = {f'class {i}': (250 - i, i, 100) for i in range(40)}
    bare = draw_panel(noise(size, 0), ['truth'], ['a'], {}, {})
    panel = draw_panel(noise(size, 0), ['truth'], ['a'], {}, dict(a=colours))
    assert panel.shape[1] == bare.shape[1] and panel.shape[0] > bare.shape[0]
    assert np.array_equal(panel[:len(bare)], bare)
    areas = {int((panel[len(bare):] == colour).all(2).sum()) for colour in colours.values()}
    assert len(areas) == 1 and areas.pop() > 100


def test_lines_of_text_stay_inside_the_panel() -> None:
    """Nothing dark touches the outermost pixels."""
    size = (160, 160)
    panel = draw_panel(np.full((*size, 3), 255, np.uint8), ['denoised'], ['boundary'], {},
                       dict(boundary=dict(typography=(9, 9, 9))), 'Tgjpqy 2008_000123')
    border = np.concatenate([panel[0], panel[-1], panel[:, 0], panel[:, -1]])
    assert (border == 255).all()


# ---------------------------------------------------------------- of a sample


@pytest.fixture
def sample() -> MultiTaskSample:
    """Half cat, half dog, with an unknown row; labelled for semseg and depth only."""
    semseg = torch.full((1, 160, 200), 8, dtype=torch.uint8)
    semseg[..., 100:], semseg[:, 0] = 12, 255
    probability = torch.zeros(21, 160, 200)
    probability[8, :, :120], probability[12, :, 120:] = 0.9, 0.9
    probability[0] = 0.1
    sample = MultiTaskSample(metainfo=dict(img_id='2008_000123'))
    sample.gt = PixelData(semseg=semseg, depth=torch.full((1, 160, 200), 3.0))
    sample.pred = PixelData(semseg=probability, depth=torch.full((1, 160, 200), 4.0))
    sample.initial = PixelData(semseg=probability.flip(2))
    return sample


CAT, DOG = [64, 0, 0], [64, 0, 128]  # VOC's colours


def halves(left: list[int], right: list[int], column: int) -> np.ndarray:
    picture = np.full((160, 200, 3), left, np.uint8)
    picture[:, column:] = right
    return picture


def test_sample_in_its_tasks_colours(sample: MultiTaskSample) -> None:
    visualizer = MultiTaskVisualizer(TASKS)
    image = noise((160, 200), 0)
    panel = visualizer.panel(image, sample)
    truth = halves(CAT, DOG, 100)
    truth[0] = 255
    top, left = find(panel, truth)
    initial_top, initial_left = find(panel, halves(DOG, CAT, 80))
    final_top, final_left = find(panel, halves(CAT, DOG, 120))
    assert top < initial_top < final_top and left == initial_left == final_left
    assert find(panel, image)[0] == top
    # In the truth's row: the four tasks that the image is not labelled for.
    row = panel[top + 5]
    assert 4 * 195 < (row == MISSING).all(1).sum() < 4 * 205


def test_legend_of_a_sample(sample: MultiTaskSample, monkeypatch: pytest.MonkeyPatch) -> None:
    words = written(monkeypatch)
    MultiTaskVisualizer(TASKS).panel(noise((160, 200), 0), sample)
    # Legends, in the order of the tasks that have one: what is seen, and nothing else.
    assert words[:9] == ['semseg', 'cat', 'dog', 'unknown', 'depth', '1 m', '5 m', '10 m',
                         '2008_000123']
    assert [word for word in words[10:] if word != 'no label'] == [*TASKS, 'truth', 'initial',
                                                                   'denoised']
    words.clear()
    del sample.initial
    MultiTaskVisualizer(TASKS).panel(noise((160, 200), 0), sample)
    assert 'prediction' in words and 'denoised' not in words


def test_picture_file_is_rgb(sample: MultiTaskSample, tmp_path: Path) -> None:
    visualizer = MultiTaskVisualizer(TASKS)
    image = noise((160, 200), 0)
    path = tmp_path / 'deep/down/panel.png'
    visualizer.add_datasample('panel', image, sample, out_file=str(path))
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], visualizer.panel(image, sample))


def test_backend_keeps_a_name_with_a_slash(sample: MultiTaskSample, tmp_path: Path) -> None:
    """mmengine's local backend makes no folders, and says nothing of a picture it cannot write."""
    visualizer = MultiTaskVisualizer(
        TASKS, vis_backends=[dict(type='mmengine.LocalVisBackend')], save_dir=str(tmp_path))
    image = noise((160, 200), 0)
    visualizer.add_datasample('panel/2008_000123', image, sample, step=7)
    path, = tmp_path.rglob('*.png')
    assert path.name == 'panel_2008_000123_7.png'
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], visualizer.panel(image, sample))


def test_rows_follow_the_course_of_the_denoising() -> None:
    """Whatever the order in which a sample got its fields; uncertainty last, bright where large."""
    maps = {field: PixelData(depth=torch.full((1, 160, 160), value)) for field, value in (
        ('step2', 1.0), ('pred', 2.0), ('step10', 3.0), ('noisy', 4.0), ('initial', 5.0))}
    spread = torch.zeros(1, 160, 160)
    spread[:, :80] = 2.0
    sample = MultiTaskSample(**maps, uncertainty=PixelData(depth=spread))
    visualizer = MultiTaskVisualizer(dict(depth=dict(type='Depth')))
    assert list(titles(sample.keys())) == ['initial', 'noisy', 'step 10', 'step 2', 'denoised']
    panel = visualizer.panel(noise((160, 160), 0), sample)
    painted = paint_uncertainty(spread[0].numpy())
    row, _ = find(panel, painted)
    assert row > len(panel) * 0.7  # the lowest
    assert painted[0, 0].sum() > 2 * painted[-1, -1].sum()
    assert not (paint_uncertainty(np.zeros((2, 2))) != painted[-1, -1]).any()  # all draws agree
    dark, bright = paint_uncertainty(np.array([[1.0, 2.0]]))[0]
    assert bright.sum() > dark.sum() and (bright == painted[0, 0]).all()
    assert (dark == paint_uncertainty(np.array([[2.0, 4.0]]))[0, 0]).all()
