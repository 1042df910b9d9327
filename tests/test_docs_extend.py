"""docs/new_sampler.md, new_method.md, new_dataset.md: their files, saved and used as they say.

And new_task.md's, from a file outside of the package.
"""

import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import doc_place
import numpy as np
import pytest
import torch
from doc_commands import python_blocks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from tiny import make_samples

from mtpsl.apis.sources import PhotoReader
from mtpsl.data_prep.synthetic import render_scene
from mtpsl.datasets import LabelSource, PartialLabelDataset, SeededIndex
from mtpsl.datasets.checks.check_dataset import check_configs
from mtpsl.datasets.label_mapping import save_mapping
from mtpsl.engine import load_config
from mtpsl.evaluation.score_names import check_primary, tiny_scores
from mtpsl.models import NoiseSchedule
from mtpsl.models.diffusion import schedule
from mtpsl.registry import DATASETS, MODELS, TASKS
from mtpsl.tasks import build_tasks
from mtpsl.tasks.base import per_sample

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder, entered, with the configs; what it registers is forgotten again."""
    (tmp_path / 'configs').mkdir()
    for path in (ROOT / 'configs').iterdir():
        (tmp_path / 'configs' / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv('MTPSL_DATA', raising=False)
    with doc_place.forgetting(), DefaultScope.overwrite_default_scope('mtpsl'):
        yield tmp_path


def save(folder: Path, document: str) -> list[str]:
    """The document's files, saved where it says; the configs among them."""
    files = {path: code for path, code in python_blocks(Path(document)) if path}
    for path, code in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code)
    return [path for path in files if path.startswith('configs/')]


def saved_module(folder: Path, document: str, name: str) -> ModuleType:
    save(folder, document)
    return importlib.import_module(name)


def thin(path: str) -> Config:
    return doc_place.thin(load_config(path))


def train_and_predict(cfg: Config, labels: list[list[str]]) -> tuple[dict, list]:
    """Losses of a step, gradients being there for every weight, and tested samples."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    batch = dict(inputs=[torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in labels],
                 data_samples=make_samples(labels, (64, 64)))
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval()
    with torch.no_grad():
        return losses, model.test_step(batch)


# ---------------------------------------------------------------- new_task.md

def test_a_task_of_a_file_that_the_config_imports(folder):
    code, config = (code for _, code in python_blocks(Path('docs/new_task.md')))
    (folder / 'my_task.py').write_text(code.replace('from .base', 'from mtpsl.tasks.base'))
    (folder / 'configs/mine').mkdir()
    (folder / 'configs/mine/albedo.py').write_text(
        config + "custom_imports = dict(imports=['my_task'])\n")
    cfg = load_config('configs/mine/albedo.py')
    task = build_tasks(cfg.model.tasks)['albedo']
    assert type(task).__name__ == 'Albedo'
    scale = np.linspace(0, 1, 27).reshape(3, 3, 3)
    task.check(task.from_png(np.uint8(255 * scale)))
    deep = task.from_png(np.uint16(65535 * scale))
    for wrong in (deep, 255 * scale, scale - 1, scale * math.nan):
        with pytest.raises(ValueError, match='0 to 1, got .*16 bit'):
            task.check(wrong)
    assert check_primary(task) is None and 'absErr' in tiny_scores(task)
    logits, label = torch.zeros(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert per_sample(task.loss(logits, label), 2, 'loss').shape == (2,)


# ---------------------------------------------------------------- new_sampler.md

def test_ddim_keeps_the_noise_of_x_s(folder):
    module = saved_module(folder, 'docs/new_sampler.md', 'my_sampler')
    ddim = module.DDIMSchedule(num_steps=2, beta_start=0.2, beta_end=0.2)
    x_0, epsilon = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    x_2 = math.sqrt(0.64) * x_0 + math.sqrt(0.36) * epsilon  # abar_2 = 0.8^2
    expected = math.sqrt(0.8) * x_0 + math.sqrt(0.2) * epsilon
    torch.testing.assert_close(ddim.step(x_0, x_2, 2, None), expected)
    assert ddim.num_noise_maps == 1
    assert module.DDIMSchedule(noise_scale=0.0).num_noise_maps == 0
    with pytest.raises(ValueError, match='eta'):
        module.DDIMSchedule(eta=2.0)


def test_ddim_with_all_its_noise_is_ddpm(folder):
    module = saved_module(folder, 'docs/new_sampler.md', 'my_sampler')
    settings = dict(num_steps=4, beta_start=0.01, beta_end=0.2)
    ddim, ddpm = module.DDIMSchedule(eta=1.0, **settings), NoiseSchedule(**settings)
    x_0, x_s, noise = torch.randn(3, 5, dtype=torch.float64,
                                  generator=torch.Generator().manual_seed(0))
    assert ddim.num_noise_maps == ddpm.num_noise_maps == 4
    for s in (4, 3, 2):
        torch.testing.assert_close(ddim.step(x_0, x_s, s, noise), ddpm.step(x_0, x_s, s, noise))


def test_the_spacing_of_the_document(folder, monkeypatch):
    monkeypatch.setattr(schedule, 'BETA_SCHEDULES', dict(schedule.BETA_SCHEDULES))
    saved_module(folder, 'docs/new_sampler.md', 'my_betas')
    built = NoiseSchedule(3, 1e-3, 1e-1, 'geometric')
    assert built.beta == pytest.approx([0, 1e-3, 1e-2, 1e-1])
    assert f'= {math.sqrt(NoiseSchedule().abar[-1]):.4f}$' in (
        ROOT / 'docs/new_sampler.md').read_text()


def test_the_samplers_configs_train_and_predict(folder, monkeypatch):
    monkeypatch.setattr(schedule, 'BETA_SCHEDULES', dict(schedule.BETA_SCHEDULES))
    for config in save(folder, 'docs/new_sampler.md'):
        cfg = thin(config)
        losses, samples = train_and_predict(cfg, [['semseg'], ['normal']])
        assert torch.isfinite(sum(losses.values())) and cfg.model.diffusion.schedule.num_steps == 4
        assert samples[0].pred.normal.shape == (3, 64, 64)


# ---------------------------------------------------------------- new_method.md

def test_the_method_trains_and_predicts(folder):
    cfg = thin(save(folder, 'docs/new_method.md')[0])
    losses, samples = train_and_predict(cfg, [['semseg', 'normal'], ['semseg']])
    assert set(losses) == {'loss_semseg', 'loss_semseg_initial', 'loss_normal',
                           'loss_normal_initial', 'loss_zero'}
    assert set(samples[0].pred.keys()) == set(samples[0].initial.keys()) == set(cfg.tasks)
    assert not torch.equal(samples[0].pred.semseg, samples[0].initial.semseg)


def test_the_condition_is_the_mean_of_all_tasks(folder):
    cfg = thin(save(folder, 'docs/new_method.md')[1])
    model = MODELS.build(cfg.model)
    condition = model.diffusion.condition
    maps = {name: torch.randn(1, task.channels, 8, 8) for name, task in model.tasks.items()}
    expected = sum(condition.project[name](maps[name]) for name in maps) / len(maps)
    torch.testing.assert_close(condition.sources(maps), expected)
    losses, _ = train_and_predict(cfg, [['semseg', 'normal'], ['semseg']])
    assert {'loss_semseg', 'loss_normal_initial'} <= set(losses)


# ---------------------------------------------------------------- new_dataset.md

def test_the_dataset_reads_what_the_document_says(folder):
    config, = save(folder, 'docs/new_dataset.md')
    root = folder / 'data/Offices'
    doc_place.write_offices(root)
    cfg = load_config(config)
    scene = render_scene(0, *doc_place.OFFICE_SIZE)
    sample = DATASETS.build(cfg.val_dataloader.dataset)[0]['data_samples']
    known = scene.depth > 0
    assert known.any()
    assert np.abs(sample.gt.depth[0].numpy() - scene.depth)[known].max() <= 0.0051  # half a cm
    np.testing.assert_allclose(sample.gt.normal.permute(1, 2, 0), scene.normal, atol=1e-6)
    assert set(sample.gt.semseg.unique().tolist()) <= {0, 1, 2, 3, 255}
    np.testing.assert_array_equal(sample.gt.semseg[0], doc_place.OFFICE_CLASSES[scene.semseg] - 1)


def test_scenes_of_one_file_are_read_checked_and_predicted(folder):
    module = saved_module(folder, 'docs/new_dataset.md', 'my_images')
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    depth = np.linspace(1, 9, 600, dtype=np.float32).reshape(20, 30)
    for name in ('scenes', 'splits'):
        (folder / name).mkdir()
    np.savez(folder / 'scenes/a.npz', rgb=rgb, depth=depth)
    (folder / 'splits/val.txt').write_text('a\n')

    class Scenes(PartialLabelDataset):
        IMAGE, ID_LIST = 'scenes/{id}.npz', 'splits/{split}.txt'
        LABELS = dict(depth=LabelSource(('scenes/{id}.npz',), lambda size, scene: scene['depth']))

    pipeline = [dict(type='LoadScene'), dict(type='LoadLabels')]
    config = dict(type=Scenes, tasks=dict(depth=dict(type='Depth')), data_root=str(folder),
                  split='val', pipeline=pipeline)
    sample = DATASETS.build(config)[0]
    np.testing.assert_array_equal(sample['img'], rgb[..., ::-1])
    np.testing.assert_array_equal(sample['gt']['depth'], depth)
    report = check_configs(dict(val=config))
    assert report.sound and '1 to 9' in {finding.found[:6] for finding in report.findings}
    reader = PhotoReader([dict(type=module.LoadScene)])
    np.testing.assert_array_equal(reader.read(folder / 'scenes/a.npz'), rgb[..., ::-1])
    Image.fromarray(rgb).save(folder / 'photo.png')
    np.testing.assert_array_equal(reader.read(folder / 'photo.png'), rgb[..., ::-1])


def test_withheld_labels_of_the_dataset_are_not_opened(folder):
    config, = save(folder, 'docs/new_dataset.md')
    root = folder / 'data/Offices'
    doc_place.write_offices(root)
    for path in (root / 'classes').iterdir():
        path.write_bytes(b'not to be opened')
    (root / 'label_mappings').mkdir()
    ids = (root / 'splits/train.txt').read_text().split()
    save_mapping({i: ['depth'] for i in ids}, root / 'label_mappings/onelabel.json')
    cfg = thin(config)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    for index in range(len(dataset)):
        assert set(dataset[SeededIndex(0, 0, index)]['data_samples'].gt.keys()) == {'depth'}


def test_nothing_of_the_documents_stays_registered():
    assert not {'my_task', 'my_sampler', 'my_betas', 'my_method', 'my_dataset'} & set(sys.modules)
    assert not {'DDIMSchedule', 'RefinedMTL'} & set(MODELS.module_dict)
    assert 'Offices' not in DATASETS.module_dict and 'Albedo' not in TASKS.module_dict
