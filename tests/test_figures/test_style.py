"""Files fit to be printed: text is text, lines differ without colour, the same figure again."""

import time
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from mtpsl.figures import paper_style, save_figure
from mtpsl.figures.style import check_figure_path, line_styles


def sample() -> Figure:
    with paper_style():
        figure = Figure(figsize=(2, 1))
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], **line_styles(['a'])['a'])
        axes.set_title('semseg mIoU ↑')
    return figure


def test_text_in_pdf_is_set_in_truetype(tmp_path):
    save_figure(sample(), tmp_path / 'a.pdf')
    content = (tmp_path / 'a.pdf').read_bytes()
    assert b'/CIDFontType2' in content and b'/Type3' not in content


def test_text_in_svg_is_text(tmp_path):
    save_figure(sample(), tmp_path / 'a.svg')
    assert '>semseg mIoU ↑</text>' in (tmp_path / 'a.svg').read_text(encoding='utf-8')


def test_png_has_the_resolution_of_print(tmp_path):
    save_figure(sample(), tmp_path / 'new/a.png')
    assert Image.open(tmp_path / 'new/a.png').size == (600, 300)


@pytest.mark.parametrize('suffix', ['pdf', 'svg', 'png'])
def test_the_same_figure_is_the_same_file(suffix, tmp_path, monkeypatch):
    save_figure(sample(), tmp_path / f'a.{suffix}')
    monkeypatch.setattr(time, 'time', lambda: 2e9)
    save_figure(sample(), tmp_path / f'b.{suffix}')
    assert (tmp_path / f'a.{suffix}').read_bytes() == (tmp_path / f'b.{suffix}').read_bytes()


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
