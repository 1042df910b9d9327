"""A reader's folder, in which the commands of the documents run on small data and thin models."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from doc_figures import write_runs, write_weights
from mmengine.config import Config
from test_conversion import tool_files
from test_conversion.official import (
    HEIGHT,
    TEST,
    TRAIN,
    WIDTH,
    write_cityscapes,
    write_nyud,
    write_png,
)
from test_tools import reference_checkpoint as reference
from test_tools import test_own_data as own
from test_tools.conftest import LAYOUTS

from mtpsl.analysis.result_files import paper_results
from mtpsl.data_prep.synthetic import render_scene, write_scenes
from mtpsl.datasets.label_mapping import save_mapping
from mtpsl.engine.config.dataset_tree import leaves
from mtpsl.models.diffusion.schedule import BETA_SCHEDULES
from mtpsl.registry import DATASETS, MODELS, TASKS

ROOT = Path(__file__).parents[1]
SIDE = 64
SHARE = 8  # of the full models' channels, one in so many
STAGES = (8, 16, 32, 64)  # of the backbone
CHANNELS = 64  # of the rest, 512
OFFICE_SIZE = (64, 96)
OFFICE_CLASSES = own.CLASSES + 1  # PASCAL VOC's classes as docs/new_dataset.md numbers its own


def write_data(folder: Path) -> Path:
    """The three datasets and their synthetic doubles, with both label mappings."""
    for layout, (name, ids, tasks) in LAYOUTS.items():
        root = folder / name
        write_scenes(root, layout, 6, 2, SIDE, SIDE, 0, 1)
        images = (root / ids).read_text().split() if layout == 'pascal' else range(6)
        for setting, number in (('onelabel', 1), ('randomlabels', 2)):
            save_mapping({str(image): [tasks[(k + i) % len(tasks)] for i in range(number)]
                          for k, image in enumerate(images)},
                         root / f'label_mappings/{setting}.json')
        shutil.copytree(root, folder / 'synthetic' / name)
    return folder


def write_own_data(root: Path) -> None:
    """docs/own_data.md's folder, a scene for each image."""
    for split, images in (('train', own.TRAIN), ('val', own.VAL)):
        for number, (image, labels) in enumerate(images.items()):
            scene = render_scene(number + len(own.TRAIN) * (split == 'val'), *own.SIZE)
            write_png((root / split / f'images/{image}.png'), scene.image)
            for task, kind in labels.items():
                (root / split / task).mkdir(exist_ok=True)
                own.write_label(root / split / task / image, scene, kind)


def write_offices(root: Path) -> None:
    """The folder of docs/new_dataset.md, without mappings: four scenes to train on, one to test."""
    for folder in ('images', 'splits', 'classes', 'depth', 'normals'):
        (root / folder).mkdir(parents=True)
    for number in range(5):
        scene = render_scene(number, *OFFICE_SIZE)
        cv2.imwrite(str(root / f'images/room{number}.jpg'), scene.image[..., ::-1])
        write_png(root / f'classes/room{number}.png', OFFICE_CLASSES[scene.semseg])
        write_png(root / f'depth/room{number}.png', np.rint(scene.depth * 100).astype(np.uint16))
        np.save(root / f'normals/room{number}.npy', scene.normal * (1, -1, -1))
    (root / 'splits/val.txt').write_text('room0\n')
    (root / 'splits/train.txt').write_text(''.join(f'room{n}\n' for n in range(1, 5)))


@contextmanager
def forgetting() -> Iterator[None]:
    """Afterwards nothing is registered or imported that a document's files have brought."""
    tables = (MODELS.module_dict, DATASETS.module_dict, TASKS.module_dict, BETA_SCHEDULES)
    before, modules = [dict(table) for table in tables], set(sys.modules)
    try:
        yield
    finally:
        for table, kept in zip(tables, before):
            for name in set(table) - set(kept):
                del table[name]
        for name in set(sys.modules) - modules:
            if name.startswith('my_'):
                del sys.modules[name]


class Place:
    """A checkout as the reader sees it: linked tools and configs, data of its own.

    Args:
        folder: to be made.
        data: what :func:`write_data` made; it is copied.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ('tools', 'tests', 'docs', 'demo', 'model-index.yml'):
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)
        (folder / 'configs').mkdir()
        for path in (ROOT / 'configs').iterdir():
            (folder / 'configs' / path.name).symlink_to(path)
        shutil.copytree(data, folder / 'data')

    def prepare(self, tool: str, arguments: Sequence[str]) -> None:
        """What the reader has at this point, of what a command reads."""
        prepare = PREPARE.get(tool)
        if prepare:
            prepare(self.folder, list(arguments))


def after(arguments: Sequence[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def a_mapping(folder: Path, arguments: list[str]) -> None:
    """A published file to import; nothing where the mapping is to be written."""
    out = folder / after(arguments, '--out')
    out.unlink(missing_ok=True)
    if arguments[0] != 'import':
        return
    path = folder / arguments[1]
    # The command's own words say which dataset the file is of.
    layout = next(name for name, (root, *_) in LAYOUTS.items() if root in str(out))
    root, ids, tasks = LAYOUTS[layout]
    if path.suffix == '.npy':
        names = dict(semseg='semseg', parsing='human_parts', saliency='sal', normal='normals',
                     boundary='edge')
        images = (folder / 'data' / root / ids).read_text().split()
        lists = {names[task]: images[k::len(tasks)] for k, task in enumerate(tasks)}
        np.save(path, np.array(lists, object), allow_pickle=True)
    else:
        rows = torch.eye(len(tasks)).repeat(6, 1)[:6]
        torch.save(dict(labels_weights=rows), path)


def no_scenes(folder: Path, arguments: list[str]) -> None:
    shutil.rmtree(folder / arguments[0], ignore_errors=True)


def official_nyud(folder: Path, arguments: list[str]) -> None:
    """The two files of NYU Depth v2 under the names of the command."""
    if arguments[0] == 'convert':
        for made, named in zip(write_nyud(folder / 'official_nyud'), arguments[1:3]):
            shutil.copy(made, folder / named)
        shutil.rmtree(folder / arguments[3], ignore_errors=True)


def official_cityscapes(folder: Path, arguments: list[str]) -> None:
    if arguments[0] == 'convert':
        write_cityscapes(folder / arguments[1])
        shutil.rmtree(folder / arguments[2], ignore_errors=True)


def drawn_labels(folder: Path, arguments: list[str]) -> None:
    """What a labelling tool has saved, with the labels of the command, and the config."""
    shutil.rmtree(folder / 'data/mine', ignore_errors=True)
    config = folder / after(arguments, '--config')
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(own.CONFIG)
    source, names = folder / arguments[2], ['1.jpg', '2.jpg']
    box = tool_files.corners(tool_files.SQUARE)
    if source.suffix == '.json':
        tool_files.write_images(folder / after(arguments, '--images'), names)
        tool_files.coco(source, names, [(0, 'dog', tool_files.coco_polygon(tool_files.HOLE))])
    elif after(arguments, '--from') == 'cvat':
        tool_files.write_images(source / 'images', names)
        points = tool_files.cvat_points(tool_files.SQUARE)
        tool_files.cvat(source, {'1.jpg': ''.join(
            f'<polygon label="{label}" points="{points}"/>'
            for label in ('person', 'chair', 'table', 'glare', 'note'))})
    else:
        tool_files.write_images(source, names)
        tool_files.labelme(source, '1.jpg', ('person', 'polygon', box))


def drawn_splits(folder: Path, arguments: list[str]) -> None:
    """Of the reader's config: a folder like that of docs/own_data.md."""
    if 'configs/mine/rooms.py' in arguments:
        shutil.rmtree(folder / 'data/mine', ignore_errors=True)
        write_own_data(folder / 'data/mine')


def published_checkpoint(folder: Path, arguments: list[str]) -> None:
    """The published implementation's names with the shapes of the thin model."""
    shapes = {name: tuple(n // SHARE if n >= 64 else n for n in shape)
              for name, shape in reference.published_shapes().items()}
    # The sinusoid of the step has 256 dimensions whatever the channels are.
    shapes['diffusion_model.denoiser.t_embedder.mlp.0.weight'] = (CHANNELS, 256)
    weights = reference.seeded_weights(shapes)
    reference.save_checkpoint(folder / arguments[0], weights, 'module.')


def trained_checkpoint(folder: Path, arguments: list[str]) -> None:
    """The shortened training's last checkpoint stands for that of the full one; or what ships."""
    path = folder / arguments[1]
    if (ROOT / arguments[1]).is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / arguments[1], path)
    if not path.exists():
        left = sorted(path.parent.glob('epoch_*.pth'))
        if left:
            shutil.copy(left[0], path)


def published_weights(folder: Path, arguments: list[str]) -> None:
    """The shortened training's checkpoint, under the name that the full one leaves."""
    trained_checkpoint(folder, ['', *arguments])
    (folder / arguments[1]).unlink(missing_ok=True)


def new_training(folder: Path, arguments: list[str]) -> None:
    """Commands of one document are alternatives; and the weights that one starts from."""
    config = Path(arguments[0])
    if '--resume' not in arguments and '--work-dir' not in arguments:
        shutil.rmtree(folder / 'work_dirs' / config.parent.name / config.stem, ignore_errors=True)
    if any(argument.endswith('checkpoint=epoch_100.pth') for argument in arguments):
        photos(folder)


def result_files(folder: Path, arguments: list[str]) -> None:
    """Result files of runs that are the reader's: the figures of the paper's baseline."""
    mine = dict(results=[dict(method=name, setting='cityscapes_onelabel',
                              metrics=figures('cityscapes_onelabel', ''))
                         for name in ('Mine', 'Single-Task')])
    (folder / 'mine.json').write_text(json.dumps(mine))
    for argument in arguments:
        path = Path(argument.rpartition('=')[2])
        if path.suffix != '.json':
            continue
        if (folder / path).exists():
            measured = json.loads((folder / path).read_text())
            # A zero, as a model of two steps may have, cannot be a baseline.
            given = measured if 'results' in measured else {
                name: value or 1.0 for name, value in measured.items()}
            (folder / path).write_text(json.dumps(given))
            continue
        setting = path.parent.name.partition('_r18')[0]
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(figures(setting, path.parent.name)))


def figures(setting: str, name: str) -> dict[str, float]:
    """The paper's Single-Task row of a setting; for a run of one task its figure alone."""
    metrics = next(row.metrics for row in paper_results(setting) if row.method == 'Single-Task')
    alone = {key: value for key, value in metrics.items()
             if key.startswith(f'{name.rpartition("_")[2]}/')}
    return alone or dict(metrics)


def photos(folder: Path, arguments: Sequence[str] = ()) -> None:
    """A reader's own images and video, and weights of the model that docs/inference.md has."""
    (folder / 'photos').mkdir(exist_ok=True)
    for path in ('photo.jpg', 'photos/first.jpg', 'photos/second.png'):
        cv2.imwrite(str(folder / path), np.full((48, 64, 3), 99, np.uint8))
    clip = cv2.VideoWriter(str(folder / 'clip.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 25, (64, 48))
    clip.write(np.full((48, 64, 3), 99, np.uint8))
    clip.release()
    if not (folder / 'epoch_100.pth').exists():
        write_weights(folder / 'epoch_100.pth', 'configs/diffusionmtl/pascal_random_r18.py')


PREPARE: dict[str, Callable[[Path, list[str]], None]] = {
    **{f'analysis_tools/plot_{figure}.py': write_runs(figures)
       for figure in ('curves', 'denoising', 'gains', 'methods', 'steps')},
    'dataset_converters/label_mapping.py': a_mapping,
    'dataset_converters/labels.py': drawn_labels,
    'analysis_tools/browse_dataset.py': drawn_splits,
    'dataset_converters/make_synthetic.py': no_scenes,
    'dataset_converters/nyud.py': official_nyud,
    'dataset_converters/cityscapes.py': official_cityscapes,
    'model_converters/publish.py': published_weights,
    'model_converters/reference_to_mtpsl.py': published_checkpoint,
    'analysis_tools/compare.py': result_files,
    'demo/image_demo.py': photos,
    'train.py': new_training,
    'test.py': trained_checkpoint}


def thin(cfg: Config) -> Config:
    """A loaded config with a thin model, small images, and one epoch of small batches.

    The model that ships stays as it is, since its weights do.
    """
    model = cfg.get('model')
    ships = Path(cfg.filename or '').name == 'pretrained.py'
    if model and 'depth' in model.backbone and not ships:
        expansion = 4 if model.backbone.depth == 50 else 1
        model.backbone.update(init_cfg=None, stem_channels=STAGES[0], base_channels=STAGES[0])
        if 'neck' in model:
            model.neck.update(in_channels=[expansion * c for c in STAGES], out_channels=CHANNELS)
        else:
            model.decoder.update(in_channels=STAGES, head_channels=CHANNELS)
        model.decoder.channels = CHANNELS
        if 'diffusion' in model:
            model.diffusion.channels = CHANNELS
        if model.get('regularizer', {}).get('type', 'ViewConsistency') != 'ViewConsistency':
            model.regularizer.channels = [CHANNELS, *STAGES]
            model.regularizer.map_stride = 2
        model.data_preprocessor.size = (SIDE, SIDE)
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            loader.update(num_workers=0, persistent_workers=False, batch_size=2)
            loader.pop('prefetch_factor', None)
            for dataset in leaves(loader.dataset):
                for transform in dataset.get('pipeline', ()):
                    if 'size' in transform:
                        transform.size = (SIDE, SIDE)
            if loader.get('sampler', {}).get('epoch_size'):
                loader.sampler.epoch_size = 12
        if split != 'train' and cfg.get(f'{split}_evaluator'):
            cfg[f'{split}_evaluator'].workers = 0
    if cfg.get('train_cfg'):
        cfg.train_cfg.update(max_epochs=1, val_begin=2)
    return cfg


def sizes_of_the_official_files() -> dict[str, dict]:
    """What ``check`` expects of the small official files; see ``PUBLISHED`` of the datasets."""
    return dict(NYUD=dict(counts=dict(train=len(TRAIN), val=len(TEST)), size=(HEIGHT, WIDTH)),
                Cityscapes=dict(counts=dict(train=3, val=1), size=(32, 64)))
