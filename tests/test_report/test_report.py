"""Scores of single images, the extremes, and the page."""

import html.parser
import math
import re

import numpy as np
import pytest
import torch

from mtpsl.analysis.html_report import (
    Extremes,
    confusions,
    extremes,
    image_scores,
    write_report,
)
from mtpsl.tasks import build_tasks

TASKS = dict(semseg=dict(type='Semseg'), depth=dict(type='Depth'))


@pytest.fixture
def tasks():
    return build_tasks(TASKS)


def test_scores_of_images_by_hand(tasks):
    """Depth off by 1 and by 2 m; half of an image's pixels of a class right."""
    label = torch.full((2, 1, 2, 2), 4.0)
    depth = tasks['depth'].stats(label + torch.tensor([1.0, 2.0]).view(2, 1, 1, 1), label)
    classes = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    prediction = torch.zeros(1, 21, 2, 2)
    prediction[:, 0, 0] = prediction[:, 5, 1] = 1  # the lower row is taken for class 5
    semseg = tasks['semseg'].stats(prediction, classes)
    unknown = tasks['semseg'].stats(prediction, torch.full_like(classes, 255))
    statistics = {'b': {('pred', 'depth'): depth[1].numpy(),
                        ('initial', 'depth'): depth[0].numpy()},
                  'a': {('pred', 'depth'): depth[0].numpy(), ('pred', 'semseg'): semseg[0].numpy()},
                  'c': {('pred', 'semseg'): unknown[0].numpy()}}
    scores = image_scores(statistics, tasks)
    assert scores['semseg'] == {'a': 25.0}  # the mean of 1/2 and 0
    assert tasks['depth'].primary_metric in ('rmse', 'absErr')
    assert scores['depth'] == pytest.approx({'a': 1.0, 'b': 2.0})


def test_a_confusion_matrix_by_hand(tasks, tmp_path):
    """Two images: of 6 pixels of class 0, 4 are right and 2 taken for 5; 2 of class 5 for 0."""
    rows = []
    for label, predicted in (([0, 0, 0, 0], [0, 0, 0, 5]), ([0, 0, 5, 5], [0, 5, 0, 0])):
        shape = (1, 1, 2, 2)
        prediction = torch.nn.functional.one_hot(torch.tensor(predicted), 21).T.reshape(1, 21, 2, 2)
        rows.append(tasks['semseg'].stats(
            prediction.float(), torch.tensor(label, dtype=torch.uint8).view(shape))[0].numpy())
    statistics = {name: {('pred', 'semseg'): row, ('initial', 'semseg'): 0 * row}
                  for name, row in zip('ab', rows)}
    found = confusions(statistics, tasks)
    assert list(found) == ['semseg'] and [name for name, _ in found['semseg']] == list(
        tasks['semseg'].class_names)
    first, sixth = found['semseg'][0][1], found['semseg'][5][1]
    assert (first[0], first[5], sixth[0], sixth[5]) == pytest.approx((4 / 6, 2 / 6, 1, 0))
    assert all(math.isnan(share) for share in found['semseg'][1][1])
    write_report(tmp_path / 'page.html', title='x', checkpoint='x.pth', config='', metrics={},
                 tasks=tasks, scores={}, chosen={}, panels=[], confusions=found)
    page = (tmp_path / 'page.html').read_text()
    assert page.count('rgba(') == 2 * 21 and 'taken for background: 100.00 %' in page


def test_no_image_is_best_and_worst():
    scores = dict(a=3.0, b=1.0, c=2.0)
    assert extremes(scores, True, 1) == Extremes([('a', 3.0)], [('b', 1.0)])
    assert extremes(scores, False, 2) == Extremes([('b', 1.0), ('c', 2.0)], [('a', 3.0)])
    assert extremes(scores, True, 5) == Extremes([('a', 3.0), ('c', 2.0), ('b', 1.0)], [])
    assert extremes({}, True, 2) == Extremes([], [])
    assert extremes(scores, True, 1).worst == [('b', 1.0)]


class Tags(html.parser.HTMLParser):
    """Checks that what is opened is closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ('meta', 'img', 'rect'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != 'rect':
            assert self.open.pop() == tag


def test_the_page_shows_what_it_is_given_and_nothing_runs(tasks, tmp_path):
    scores = dict(semseg={'a<b>': 10.0, 'c': 30.0}, depth={})
    metrics = {'semseg/mIoU': 20.0, 'semseg/IoU.cow': 61.234, 'semseg/IoU.cat': math.nan,
               'initial/semseg/mIoU': 12.5, 'delta_m': -1.0, 'time': 3.0}
    write_report(tmp_path / 'page.html', title='<script>alert(1)</script>', checkpoint='x.pth',
                 config='a = "<b>"', metrics=metrics, tasks=tasks, scores=scores,
                 chosen=dict(semseg=extremes(scores['semseg'], True, 1)),
                 panels=[('a<b>', np.zeros((8, 8, 3), np.uint8)),
                         ('c', np.full((8, 8, 3), 255, np.uint8))])
    page = (tmp_path / 'page.html').read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open and '<script' not in page and 'a&lt;b&gt;' in page
    assert '<td>61.23</td>' in page and 'width: 61px' in page and page.count('<figure') == 2
    assert '<td>final</td><td>20.00</td><td>-</td><td>-1.00</td>' in page
    assert '<td>initial</td><td>12.50</td><td>-</td><td>-</td>' in page
    assert page.count('<svg') == 1 and page.count('height="100.0"') == 2  # two bins of one image
    bars = re.findall(r'y="([\d.]+)" height="([\d.]+)"', page)
    assert len(bars) == 20 and all(float(y) + float(height) == 100 for y, height in bars)


def test_a_page_without_images_is_one(tasks, tmp_path):
    write_report(tmp_path / 'page.html', title='t', checkpoint='x', config='', metrics={},
                 tasks=tasks, scores={}, chosen={}, panels=())
    assert 'Best and worst' not in (tmp_path / 'page.html').read_text()
