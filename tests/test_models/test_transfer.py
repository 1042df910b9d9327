"""Starting from another model's weights: what fits is taken, and the rest is told."""

import copy
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from test_models.test_task_order import ORDERS, build
from tiny import PASCAL_TASKS, tiny_model_config

from mtpsl.models.transfer import Transfer
from mtpsl.registry import MODELS


def save(path, model, wrapped: bool = True) -> str:
    state = model.state_dict()
    torch.save(dict(state_dict=state, meta={}) if wrapped else state, path)
    return str(path)


def start(config: dict, checkpoint: str, caplog: pytest.LogCaptureFixture) -> tuple:
    """The model, what it would have been without the file, and what is said."""
    models = []
    for init in (None, dict(type='Pretrained', checkpoint=checkpoint)):
        torch.manual_seed(1)
        model = MODELS.build(copy.deepcopy(config) | dict(init_cfg=init))
        with caplog.at_level(logging.WARNING):
            logger = MMLogger.get_current_instance()
            logger.addHandler(caplog.handler)
            model.init_weights()
            logger.removeHandler(caplog.handler)
        models.append(model.state_dict())
    return models[1], models[0], [record.getMessage() for record in caplog.records
                                  if 'of the model are taken' in record.getMessage()]


def with_tasks(**tasks: dict) -> dict:
    return tiny_model_config() | dict(tasks=tasks)


def test_other_classes(tmp_path, caplog):
    source = build('prediction')
    path = save(tmp_path / 'a.pth', source)
    tasks = copy.deepcopy(PASCAL_TASKS)
    tasks['semseg']['class_names'] = ('a', 'b', 'c')
    found, plain, (line,) = start(with_tasks(**tasks), path, caplog)
    given = source.state_dict()
    differs = {name for name in found if not torch.equal(found[name], given.get(name, found[name]))
               or found[name].shape != given[name].shape}
    expected = {name for name in found if found[name].shape != given[name].shape}
    assert differs == expected and 'decoders.predict.semseg.weight' in expected
    assert all(torch.equal(found[name], plain[name]) for name in expected)
    assert f'{path}: {len(found) - len(expected)} of the {len(found)} weights' in line
    assert 'left as they are initialised: of another shape there: 2 of decoders.predict.semseg' in (
        line)
    assert 'for other tasks' not in line and 'not used' not in line


@pytest.mark.parametrize('tasks', [('semseg', 'normal'), (
    'semseg', 'parsing', 'saliency', 'normal', 'depth')])
def test_other_tasks_do_not_meet_channels_that_are_not_theirs(tasks, tmp_path, caplog):
    """Five of five tasks: the condition's weights would fit by their shape."""
    source = build('prediction')
    path = save(tmp_path / 'a.pth', source, wrapped=False)
    config = with_tasks(**{name: dict(type=name.capitalize()) for name in tasks})
    found, plain, (line,) = start(config, path, caplog)
    given = source.state_dict()
    assert torch.equal(found['decoders.predict.semseg.weight'],
                       given['decoders.predict.semseg.weight'])
    assert torch.equal(found['backbone.conv1.weight'], given['backbone.conv1.weight'])
    reduce = 'diffusion.condition.reduce.weight'
    assert torch.equal(found[reduce], plain[reduce])
    assert ('for other tasks there: 1 of diffusion.condition.reduce' in line) == (len(tasks) == 5)
    assert ('not in the file' in line) == ('depth' in tasks)
    assert '; of the file not used: ' in line and 'decoders.predict.boundary' in line


def test_a_method_s_own_parts_and_another_order_of_the_tasks(tmp_path, caplog):
    """From the baseline to DiffusionMTL, and from a model with its tasks in another order."""
    path = save(tmp_path / 'baseline.pth', build('baseline', ORDERS[0]))
    found, plain, (line,) = start(tiny_model_config(), path, caplog)
    given = build('baseline').state_dict()
    assert all(torch.equal(found[name], given.get(name, plain[name])) for name in found)
    assert 'not in the file: ' in line and 'diffusion.denoiser.embed' in line
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mtpsl.models.methods.base.in_order', dict)
        old = build('prediction', ORDERS[0])
    state = old.state_dict()
    del state._metadata['']['tasks']
    torch.save(state, tmp_path / 'old.pth')
    model = build('prediction')
    transfer = Transfer(str(tmp_path / 'old.pth'), model, list(model.tasks))
    assert len(transfer.taken) == len(state) and transfer.covers(model.backbone, 'backbone')
    model.load_state_dict(state)
    assert all(torch.equal(value, transfer.taken[name])
               for name, value in model.state_dict().items())


def test_nothing_that_fits_and_no_such_file(tmp_path):
    torch.save(dict(a=torch.ones(1)), tmp_path / 'a.pth')
    model = build('baseline')
    with pytest.raises(ValueError, match='a.pth: none of its weights fits the model'):
        Transfer(str(tmp_path / 'a.pth'), model, list(model.tasks))
    with pytest.raises(FileNotFoundError, match='there is no checkpoint file .*b.pth'):
        Transfer(str(tmp_path / 'b.pth'), model, list(model.tasks))
