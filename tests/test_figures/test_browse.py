"""What a pipeline feeds the model, against what the runner's data loader gives."""

from itertools import cycle, islice

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from test_faults.tiny_run import write_config

from mtpsl.analysis.figures import LoaderPreview, draw_views
from mtpsl.engine import load_config
from mtpsl.registry import MODELS

VIEWS = """\
train_dataloader['dataset'].update(pipeline=[
    *pipeline[:3], dict(type='MultiView', views=[[], [dict(type='RandomScaleCrop')]])])"""


def test_the_feed_is_the_data_loader_s(baseline):
    seed, epoch = 5, 2
    cfg = load_config(baseline)
    with DefaultScope.overwrite_default_scope('mtpsl'):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    loader.sampler.set_epoch(epoch)
    feed = LoaderPreview(cfg, seed=seed, epoch=epoch)
    draws = list(feed.draws())
    assert len(draws) == len(feed) == 6
    expected = [pair for batch in loader for pair in zip(batch['inputs'], batch['data_samples'])]
    for draw, (pixels, sample) in zip(draws, expected):
        name, (view,) = feed.views(draw)
        assert name == sample.img_id
        np.testing.assert_array_equal(view.image[..., ::-1].transpose(2, 0, 1), pixels)
        assert list(view.labels) == list(sample.gt.keys())
        np.testing.assert_array_equal(view.labels['semseg'], sample.gt.semseg)
        assert ('saliency' in view.labels) == (name != '1')


def test_only_some_images_of_an_epoch(baseline):
    cfg = load_config(baseline)
    feed = LoaderPreview(cfg)
    assert sorted(feed.views(draw)[0] for draw in feed.draws(['3', '1'])) == ['1', '3']
    first = islice(LoaderPreview(cfg, 'val').draws(), 3)
    assert [feed.views(draw)[0] for draw in first] == ['0', '1', '2']
    with pytest.raises(ValueError, match='the dataset has no image x; it has 0, 1'):
        list(feed.draws(['x', '1']))
    feed.sampler = cycle([4, 1, 4, 2])  # for ever, as an InfiniteSampler
    assert list(feed.draws()) == [4, 1, 4, 2, 4, 1]
    assert list(feed.draws(['2', '4'])) == [4, 2]
    with pytest.raises(ValueError, match='cycle does not draw 0, 3 in this epoch'):
        list(feed.draws(['0', '2', '3']))


def test_padded_as_the_model_gets_it(baseline):
    options = {'data_preprocessor.size': (64, 64)}
    cfg = load_config(baseline, options)
    feed = LoaderPreview(cfg, preprocess=True)
    draw = next(feed.draws())
    (view,) = feed.views(draw)[1]
    with DefaultScope.overwrite_default_scope('mtpsl'):
        preprocessor = MODELS.build(cfg.model).data_preprocessor
    item = feed.dataset[draw]
    batch = preprocessor(pseudo_collate([item]), training=True)
    normalised = (view.image - np.array([123.675, 116.28, 103.53])) / [58.395, 57.12, 57.375]
    np.testing.assert_allclose(normalised.transpose(2, 0, 1), batch['inputs'][0], atol=0.01)
    np.testing.assert_array_equal(view.labels['semseg'], batch['data_samples'][0].gt.semseg)
    assert (view.labels['semseg'][0, :20] == 255).all()
    np.testing.assert_array_equal(view.image[20:44, 16:48, ::-1].transpose(2, 0, 1),
                                  item['inputs'])


def test_several_views_are_several_rows(root, tmp_path):
    cfg = load_config(str(write_config(tmp_path / 'views.py', root, VIEWS)))
    feed = LoaderPreview(cfg, preprocess=True)
    (draw,) = feed.draws(['1'])
    name, views = feed.views(draw)
    assert len(views) == 2 and not np.array_equal(views[0].image, views[1].image)
    (axes,) = draw_views(name, views, feed.tasks).axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[:3] == ['input', 'semseg', 'saliency'] and {'view 0', 'view 1'} <= set(texts)
    assert texts.count('no label') == 2 and len(axes.get_images()) == 4


def test_a_config_without_the_split(baseline):
    cfg = load_config(baseline)
    cfg.pop('test_dataloader')
    with pytest.raises(ValueError, match=r'baseline\.py has no test_dataloader'):
        LoaderPreview(cfg, 'test')
