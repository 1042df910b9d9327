"""Rows of pictures: places, what is missing, legends, numbers of classes."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mtpsl.analysis.figures import PictureRow, draw_pictures
from mtpsl.analysis.figures.method_grid import class_marks, legend
from mtpsl.analysis.figures.pictures import Mark
from mtpsl.tasks import build_tasks

WIDE, TALL = np.full((20, 40, 3), 9, np.uint8), np.full((40, 20, 3), 5, np.uint8)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def pictures(figure: Figure) -> list[AxesImage]:
    return figure.axes[0].get_images()


def test_places_and_proportions():
    figure = draw_pictures([PictureRow('one', dict(a=WIDE, b=WIDE), (20, 40), 'image 1'),
                            PictureRow('two', dict(b=TALL), (40, 20))], ['a', 'b'], {}, width=4)
    assert texts(figure)[:2] == ['a', 'b'] and {'one', 'two', 'image 1'} <= set(texts(figure))
    boxes = [picture.get_extent() for picture in pictures(figure)]
    ratios = [(bottom - top) / (right - left) for left, right, bottom, top in boxes]
    np.testing.assert_allclose(ratios, [0.5, 0.5, 2])
    assert boxes[2][0] == boxes[1][0] > boxes[0][1]  # under b, right of a
    assert boxes[2][3] > boxes[1][2]  # below the first row
    width, height = figure.get_size_inches()
    assert width == 4 and boxes[2][2] < height < boxes[2][2] + 0.1
    assert pictures(figure)[2].get_array().shape == (40, 20, 3)


@pytest.mark.parametrize('size', [(3000, 1), (1, 3000)])
def test_an_elongated_picture_is_made_smaller(size):
    row = PictureRow('', dict(a=np.zeros((*size, 3), np.uint8)), size,
                     marks=dict(a=[Mark(1, 1, 'm')]))
    figure = draw_pictures([row], ['a'], {}, width=3)
    assert 0.3 < figure.get_size_inches()[1] < 15
    left, right, bottom, top = pictures(figure)[0].get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(size[0] / size[1])
    assert 0 < left < right < 3 and 0 < top < bottom < figure.get_size_inches()[1]
    (mark,) = (text for text in figure.axes[0].texts if text.get_text() == 'm')
    assert mark.get_position() == pytest.approx((right, bottom))


def test_a_figure_of_too_many_rows():
    with pytest.raises(ValueError, match=r'the figure would be \d+ inches high, at most 200 are'):
        draw_pictures([PictureRow('', {}, (20, 40))] * 200, ['a'], {}, width=4)


def test_what_is_missing_is_said_and_hatched():
    figure = draw_pictures([PictureRow('', dict(a=WIDE, b='no label'), (20, 40))], ['a', 'b', 'c'],
                           {}, width=4)
    assert len(pictures(figure)) == 1 and 'no label' in texts(figure)
    assert [patch.get_hatch() for patch in figure.axes[0].patches] == [None, '///']


def test_a_legend_is_wrapped_to_the_width():
    entries = {f'a longish name {i}': (i, 0, 0) for i in range(9)}
    figure = draw_pictures([PictureRow('', dict(a=WIDE), (20, 40))], ['a'],
                           dict(semseg=entries, depth={}), width=3)
    swatches = figure.axes[0].patches[1:]
    assert [patch.get_facecolor()[0] for patch in swatches] == [i / 255 for i in range(9)]
    assert 'semseg' in texts(figure) and 'depth' not in texts(figure)
    FigureCanvasAgg(figure).draw()
    right = [text.get_window_extent().x1 / figure.dpi for text in figure.axes[0].texts]
    bottom = [text.get_window_extent().y0 / figure.dpi for text in figure.axes[0].texts]
    assert max(right) <= 3 and min(bottom) >= 0
    assert len({patch.get_y() for patch in swatches}) > 1


def test_a_name_is_not_taken_for_mathematics():
    figure = draw_pictures([PictureRow('$x$', dict(a=WIDE), (20, 40))], ['a'], {}, width=3)
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_a_class_is_numbered_in_its_widest_region():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:4, :20] = picture[10:31, 40:61] = (255, 0, 0)
    picture[39] = (0, 255, 0)  # a line
    marks = class_marks(picture, dict(line=(0, 255, 0), square=(255, 0, 0), none=(1, 1, 1)))
    assert marks == [Mark(pytest.approx(50.5 / 80), pytest.approx(20.5 / 40), '2')]


def test_a_region_may_reach_the_picture_s_edge():
    (mark,) = class_marks(np.zeros((41, 41, 3), np.uint8), dict(all=(0, 0, 0)))
    assert mark == Mark(0.5, 0.5, '1')


def test_the_legend_of_maps_of_several_sizes():
    tasks = build_tasks(dict(semseg=dict(type='Semseg', class_names=('a', 'b', 'c')),
                             normal=dict(type='Normal')))
    maps = [np.full((1, 2, 3), 2, np.uint8), np.full((1, 4, 4), 1, np.uint8)]
    assert list(legend(tasks['semseg'], maps)) == ['b', 'c']
    up = np.zeros((3, 2, 2), np.float32)
    up[1] = 1
    assert 'unknown' not in legend(tasks['normal'], [up])
    assert 'unknown' in legend(tasks['normal'], [up, 0 * up])
    assert legend(tasks['normal'], []) == {}
