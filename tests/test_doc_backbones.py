"""docs/backbones.md and new_backbone.md: configs train and predict, tables are right."""

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
from mtpsl.models.stages import stages_of
from mtpsl.registry import MODELS

ROOT = Path(__file__).parents[1]
CHOICE, OWN = Path('docs/backbones.md'), Path('docs/new_backbone.md')
FILES = {path: code for page in (CHOICE, OWN) for path, code in python_blocks(page) if path}
CONFIGS = [path for path in FILES if path.startswith('configs/')]
ROWS = re.findall(r'^\| `dict\((.*)\)` \| `(\(.*\))` \| (4 to 32|all 16) \|$',
                  (ROOT / CHOICE).read_text(), re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The documents' files, where they say."""
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
    if 'mmpretrain' in (folder / path).read_text():
        pytest.importorskip('mmpretrain', exc_type=(ImportError, RuntimeError, AssertionError))
    cfg = load_config(str(folder / path), {
        'data_preprocessor.size': (64, 64), 'model.neck.out_channels': 16,
        'model.decoder.channels': 16, 'model.diffusion.channels': 16})
    if cfg.model.backbone.type == 'TimmBackbone':
        pytest.importorskip('timm', exc_type=(ImportError, RuntimeError))
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


def test_the_answer_that_the_document_prints(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    code = next(code for path, code in python_blocks(OWN) if not path)
    exec(compile(code, str(OWN), 'exec'), {})
    assert f'prints `{capsys.readouterr().out.strip()}`' in (ROOT / OWN).read_text()


@pytest.mark.parametrize('backbone, channels, strides', ROWS)
def test_the_table_of_stages(backbone: str, channels: str, strides: str) -> None:
    arguments = {word.arg: ast.literal_eval(word.value)
                 for word in ast.parse(f'f({backbone})').body[0].value.keywords}
    stages = stages_of(MODELS.build(dict(arguments)), (512, 512))
    assert stages.in_channels == ast.literal_eval(channels)
    assert stages.in_stride == {'4 to 32': 4, 'all 16': 16}[strides]


def test_the_tables_are_there() -> None:
    assert len(ROWS) >= 7 and len(CONFIGS) == 4


def test_wrong_channels_are_the_error_of_the_document(folder: Path) -> None:
    cfg = load_config(str(folder / CONFIGS[-1]), {'model.neck.in_channels': (64, 128)})
    text = ' '.join((ROOT / OWN).read_text().split())
    with pytest.raises(ValueError) as error:
        MODELS.build(cfg.model)
    assert str(error.value).partition(': ')[2].partition(';')[0] in text
