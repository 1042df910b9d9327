"""How the images of a checkpoint's training were read, against what a config does."""

import json
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mtpsl.datasets.walks import leaves_of
from mtpsl.engine.config.dataset_tree import named_leaves
from mtpsl.engine.config.precheck import other_colours, other_zoom

from .content import FILES_KEY, RUN_KEY, read_content
from .data_files import CONTENTS, trained_on
from .resume import plain

NAMED = 3  # images in a message


def pipelines_only(loader: Mapping | None) -> dict:
    """What a published file keeps of a run's data loader: the transforms, and the names of sets."""
    found = [(name, dict(pipeline=plain(part.get('pipeline') or [])))
             for name, part in named_leaves(loader['dataset'])] if loader else []
    named = dict(found)
    several = named if len(named) == len(found) and '' not in named else [
        part for _, part in found]
    return dict(dataset=dict(datasets=several)) if found else {}


def learned_from(path: str, dataset: object, done: str = 'tested') -> str:
    """Say that a checkpoint's run learned from images of a dataset; '' where that is not known.

    A checkpoint knows 32 of its images by content.

    Args:
        path: a checkpoint of a run.
        dataset: what is tested or validated on, built.
        done: what is done on it.
    """
    before = (read_content(path).get('meta') or {}).get(FILES_KEY)
    parts: Any = [dataset] if hasattr(dataset, 'get_data_info') else leaves_of(dataset)
    found = [name for part in parts
             for name in trained_on(json.loads(before), part)] if before else []
    return found and (f'{path} has learned from images that are {done} on, such as '
                      f'{", ".join(found[:NAMED])} (of the {CONTENTS} that it knows at most): '
                      'figures are too good') or ''


def other_images(path: str, cfg: Config, split: str) -> str:
    """Describe where a config's images are of other colours or another size than those learned.

    Transforms that draw by chance count as nothing, and what train_dataloader of the config itself
    says is not told again: :mod:`mtpsl.engine.config.precheck` compares the splits of a config.

    Args:
        path: a checkpoint of a run, or a file that ``publish.py`` made of one.
        cfg: a loaded config that the weights fit.
        split: whose images the model will see, ``'train'`` or ``'test'``.

    Returns:
        A sentence for a warning; '' if nothing differs or the file does not say.
    """
    meta = read_content(path).get('meta') or {}
    before = json.loads(meta[RUN_KEY]).get('train_dataloader') if RUN_KEY in meta else None
    now = cfg.get(f'{split}_dataloader')
    if not before or not now or pipelines_only(before) in map(
            pipelines_only, (now, cfg.get('train_dataloader'))):
        return ''
    name = f"the config's {split}"
    both = Config({'train_dataloader': before, f'{name}_dataloader': now,
                   'default_scope': cfg.get('default_scope')})
    try:
        found = other_colours(both, name) or other_zoom(both, name)
    except Exception:  # transforms that are not known here, or had other arguments then
        return ''
    return found and (f'{path} was trained on images that were read otherwise than the config '
                      f"reads them (train_dataloader is the training's): {found}")
