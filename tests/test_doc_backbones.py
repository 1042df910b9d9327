"""docs/new_backbone.md: its configs train and predict, its table's backbones fit their necks."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from doc_commands import python_blocks
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from tiny import make_samples

from mtpsl.engine import load_config
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[1]
DOCUMENT = Path('docs/new_backbone.md')
FILES = {path: code for path, code in python_blocks(DOCUMENT) if path}
CONFIGS = [path for path in FILES if path.startswith('configs/')]
ROWS = re.findall(r'^\| `dict\((.*)\)` \| `(\(.*\))` \|$', (ROOT / DOCUMENT).read_text(),
                  re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The document's files, where it says."""
    (tmp_path / 'configs').mkdir()
    for path in (ROOT / 'configs').iterdir():
        (tmp_path / 'configs' / path.name).symlink_to(path)
    for path, code in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    MODELS._module_dict.pop('TwoStages', None)  # imported again, it is registered again
    sys.modules.pop('my_backbone', None)


@pytest.mark.parametrize('path', CONFIGS)
def test_a_step_and_a_prediction(path: str, folder: Path) -> None:
    cfg = load_config(str(folder / path), {
        'data_preprocessor.size': (64, 64), 'model.neck.out_channels': 16,
        'model.decoder.channels': 16, 'model.diffusion.channels': 16})
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mtpsl'):
        model = MODELS.build(cfg.model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert type(model.backbone).__name__ == cfg.model.backbone.type.rpartition('.')[2]
    names = list(cfg.tasks)
    batch = dict(inputs=[torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in 'ab'],
                 data_samples=make_samples([names[:2], names[2:]], (64, 64)))
    before = {name: value.clone() for name, value in model.backbone.named_parameters()}
    losses = model.train_step(batch, wrapper)
    assert torch.isfinite(losses['loss']) and losses['loss'] > 0
    assert all(not torch.equal(value, before[name])
               for name, value in model.backbone.named_parameters() if value.requires_grad)
    model.eval()
    with torch.no_grad():
        samples = model.test_step(batch)
    for sample in samples:
        sizes = {tuple(getattr(sample.pred, name).shape[1:]) for name in names}
        assert sizes == {(64, 64)}


def test_the_shapes_that_the_document_prints(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    code = next(code for path, code in python_blocks(DOCUMENT) if not path)
    exec(compile(code, str(DOCUMENT), 'exec'), {})
    assert f'prints `{capsys.readouterr().out.strip()}`' in (ROOT / DOCUMENT).read_text()


@pytest.mark.parametrize('backbone, channels', ROWS)
def test_the_channels_of_the_table(backbone: str, channels: str) -> None:
    arguments = {word.arg: ast.literal_eval(word.value)
                 for word in ast.parse(f'f({backbone})').body[0].value.keywords}
    built = MODELS.build(dict(arguments)).to('meta')
    built.eval()
    stages = built(torch.empty(1, 3, 64, 64, device='meta'))
    assert tuple(stage.shape[1] for stage in stages) == ast.literal_eval(channels)
    sides = [stage.shape[-1] for stage in stages]
    assert sides == sorted(sides, reverse=True) and sides[0] == 16


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 4 and len(CONFIGS) == 2


def test_wrong_channels_are_the_error_of_the_document(folder: Path) -> None:
    cfg = load_config(str(folder / CONFIGS[0]), {'model.neck.in_channels': (64, 128, 256, 512)})
    text = ' '.join((ROOT / DOCUMENT).read_text().split())
    neck = MODELS.build(cfg.model.neck)
    stages = [torch.empty(1, channels, 4, 4) for channels in (32, 64, 160, 256)]
    with pytest.raises(ValueError) as error:
        neck(stages)
    assert str(error.value).partition(': ')[2] in text
