"""Files fit to be printed: text is text, lines differ without colour, the same figure again."""

import re
import time
from base64 import b64decode
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mtpsl.analysis.figures import paper_style, save_figure
from mtpsl.analysis.figures.style import line_styles
from mtpsl.system.choices import FIGURE_SUFFIXES as SUFFIXES
from mtpsl.system.figure_arguments import check_figure_path


def sample() -> Figure:
    with paper_style():
        figure = Figure(figsize=(2, 1))
        figure.text(0, 0, 'for $5 or $6')
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], **line_styles(['a'])['a'])
        axes.set_title('semseg mIoU ↑')
    return figure


@pytest.fixture(scope='module')
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was not there, with the sample as a.pdf, a.svg and a.png."""
    folder = tmp_path_factory.mktemp('style') / 'new'
    for suffix in SUFFIXES:
        save_figure(sample(), folder / f'a{suffix}')
    return folder


def test_text_in_pdf_is_set_in_truetype(saved):
    content = (saved / 'a.pdf').read_bytes()
    assert b'/CIDFontType2' in content and b'/Type3' not in content


def test_text_in_svg_is_text(saved):
    content = (saved / 'a.svg').read_text(encoding='utf-8')
    # What stands between two $ is no formula.
    assert '>semseg mIoU ↑</text>' in content and '>for $5 or $6</text>' in content


def test_each_picture_keeps_its_own_pixels_in_a_document(tmp_path):
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    for left in (0, 1):
        axes.imshow(np.full((2, 3, 3), left, np.uint8), extent=(left, left + 1, 1, 0))
    axes.set_xlim(0, 2)
    save_figure(figure, tmp_path / 'a.svg')
    pictures = re.findall(r'base64,([^"]+)"', (tmp_path / 'a.svg').read_text(encoding='utf-8'))
    assert [Image.open(BytesIO(b64decode(one))).size for one in pictures] == [(3, 2)] * 2


def test_png_has_the_resolution_of_print(saved):
    assert Image.open(saved / 'a.png').size == (600, 300)


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_the_same_figure_is_the_same_file(suffix, saved, tmp_path, monkeypatch):
    monkeypatch.setattr(time, 'time', lambda: 2e9)
    save_figure(sample(), tmp_path / f'b{suffix}')
    assert (saved / f'a{suffix}').read_bytes() == (tmp_path / f'b{suffix}').read_bytes()


def test_lines_differ_without_their_colour():
    looks = line_styles(map(str, range(12))).values()
    for one, other in combinations(looks, 2):
        assert (one['linestyle'], one['marker']) != (other['linestyle'], other['marker'])


@pytest.mark.parametrize('name', ['a.jpg', 'a', 'folder.pdf'])
def test_where_no_figure_goes(name, tmp_path):
    (tmp_path / 'folder.pdf').mkdir()
    with pytest.raises(ValueError, match=r'must be a \.pdf, \.svg, \.png file, got .*' + name):
        check_figure_path(tmp_path / name)
    assert check_figure_path('b.svg') == Path('b.svg')


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_figure_replaces_figures_only(suffix, tmp_path):
    path = tmp_path / f'a{suffix}'
    for _ in range(2):
        save_figure(Figure(), path)
    path.write_bytes(b'a photo')
    with pytest.raises(ValueError, match='is no figure of this package: it is not replaced'):
        save_figure(Figure(), path)
    assert path.read_bytes() == b'a photo'
