"""Regional compilation: same values and keys, and no new graph for another number of pairs."""

from contextlib import nullcontext

import pytest
import torch
from mmengine.config import Config
from tiny import PASCAL_TASKS, make_samples, tiny_model_config
from torch import nn

from mtpsl.apis.deployment import Deployed
from mtpsl.engine import CompileHook, load_config
from mtpsl.engine.hooks.compile_hook import PARTS, compiled_graphs
from mtpsl.models.methods.options import PredictOptions
from mtpsl.registry import MODELS
from mtpsl.structures.outputs import OUTPUTS

BLOCKS = 'diffusion.denoiser.blocks'
# Numbers of labelled pairs 5, 2, 3, 6, 4.
ROUND = [[['semseg', 'normal'], ['semseg', 'normal', 'boundary']], [['semseg'], ['semseg']],
         [['semseg'], ['normal', 'boundary']], [['semseg', 'normal', 'saliency']] * 2,
         [['boundary', 'parsing'], ['boundary', 'parsing']]]


@pytest.fixture
def model() -> nn.Module:
    torch._dynamo.reset()
    torch.manual_seed(0)
    config = tiny_model_config()
    config['diffusion']['num_blocks'] = 1
    return MODELS.build(config)


def step(model: nn.Module, labels: list[list[str]]) -> torch.Tensor:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 64, 64)
    loss = sum(model(images, make_samples(labels), mode='loss').values())
    loss.backward()
    return loss.detach()


def test_another_number_of_pairs_compiles_nothing_anew(model):
    keys = list(model.state_dict())
    before = compiled_graphs()
    CompileHook(parts=(BLOCKS,), backend='eager').compile(model)
    step(model, ROUND[0])
    first = compiled_graphs()
    assert first > before  # it does compile
    for labels in ROUND[1:]:
        step(model, labels)
    assert compiled_graphs() == first
    step(model, [['semseg'], []])  # torch makes graphs of their own for a single pair, once
    assert compiled_graphs() == first + (first - before)
    assert list(model.state_dict()) == keys


def test_compiled_parts_give_the_same_loss_and_gradients(model):
    plain = step(model, ROUND[0])
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    CompileHook(parts=(BLOCKS,), backend='aot_eager').compile(model)
    torch.testing.assert_close(step(model, ROUND[0]), plain)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, gradients[name], rtol=1e-3, atol=1e-5, msg=name)


@torch._dynamo.config.patch(fail_on_recompile_limit_hit=True)
def test_after_the_first_training_and_validation_nothing_is_compiled_anew():
    torch._dynamo.reset()
    torch.manual_seed(0)
    config = tiny_model_config()
    config['diffusion']['num_blocks'] = 1
    config['tasks'] = {name: PASCAL_TASKS[name] for name in ('semseg', 'normal', 'boundary')}
    model = MODELS.build(config)
    parts = CompileHook(backend='eager').compile(model)
    assert {'diffusion.denoiser.embed', BLOCKS, 'diffusion.denoiser.heads'} <= set(parts)
    graphs = []
    for _ in range(2):
        model.train()
        for labels in (['semseg normal', 'semseg normal boundary'], ['boundary', 'semseg boundary'],
                       ['normal', 'boundary'], ['semseg normal boundary'] * 2):
            step(model, [names.split() for names in labels])
        model.eval()
        with torch.no_grad():
            for batch in (2, 1):  # the last one of a set is smaller
                model.predict(torch.randn(batch, 3, 64, 64), make_samples([[]] * batch))
        graphs.append(compiled_graphs())
    assert graphs[0] == graphs[1]


def test_a_prediction_is_one_graph_after_its_noise():
    """Exported, and with all outputs; ``predict`` draws before it, of the size that maps have."""
    torch._dynamo.reset()
    model = MODELS.build(tiny_model_config()).eval()
    module, images = Deployed(model), torch.randn(1, 3, 64, 96)
    noise = model.noise.for_images(['a'], model.map_size(images), images.device)
    wanted = PredictOptions(outputs=OUTPUTS)
    with torch.no_grad():
        for call in (lambda: torch._dynamo.explain(module)(*module.example(1, (64, 64))),
                     lambda: torch._dynamo.explain(model.logits_from)(images, noise, wanted)):
            found = call()
            assert (found.graph_count, found.graph_break_count) == (1, 0)
        sample, = make_samples([[]], (64, 96))
        sample.set_metainfo(dict(img_id='a'))
        graph = torch.compile(model.logits_from, backend='eager', fullgraph=True)
        expected = model.logits(images, [sample], wanted)
        torch.testing.assert_close(graph(images, noise, wanted), expected)
    assert set(expected) == {'pred', 'initial', 'noisy', 'step2'}


def test_a_part_that_is_not_there_is_an_error(model):
    assert all(model.get_submodule(part) for part in PARTS)
    with pytest.raises(ValueError, match="the model has no part 'diffusion.blocks'"):
        CompileHook(parts=('diffusion.blocks',)).compile(model)


@pytest.mark.parametrize(('lines', 'told'), [
    ("efficient_conv_bn_eval = ['backbone', 'neck', 'decoders']",
     r"efficient_conv_bn_eval must be \['backbone'\].*'decoders'"),
    ('efficient_conv_bn_eval = True', r"must be \['backbone'\].*got True"),
    ("efficient_conv_bn_eval = '[backbone]'", 'efficient_conv_bn_eval must be'),
    ("efficient_conv_bn_eval = ['backbone']", ''), ("efficient_conv_bn_eval = 'backbone'", ''),
    ("optim_wrapper = dict(constructor='mmseg.LearningRateDecayOptimizerConstructor')\n"
     "model = dict(backbone=dict(type='ResNet'))",
     'LearningRateDecayOptimizerConstructor knows the layers of ConvNeXt, BEiT, MAE alone'),
    ("optim_wrapper = dict(constructor='mmseg.LearningRateDecayOptimizerConstructor')\n"
     "model = dict(backbone=dict(type='mmseg.BEiT'))", ''),
])
def test_other_words_of_mmengine_and_mmseg_name_what_they_serve(lines, told, tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(lines)
    with pytest.raises(ValueError, match=told) if told else nullcontext():
        load_config(str(path))


def test_the_top_level_compile_says_what_to_use(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('compile = True\n')
    with pytest.raises(ValueError, match='compile must be False.*CompileHook'):
        load_config(str(path))
    path.write_text('compile = False\n')
    assert isinstance(load_config(str(path)), Config)


def test_the_default_is_what_a_model_has():
    model = nn.ModuleDict(dict(backbone=nn.Conv2d(3, 4, 1), other=nn.Conv2d(3, 4, 1)))
    assert CompileHook(backend='eager').compile(model) == ['backbone']
    with pytest.raises(ValueError, match="dynamic_parts has 'neck', which is not among the parts"):
        CompileHook(parts=('backbone',), dynamic_parts=('neck',))
