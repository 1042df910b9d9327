"""Several datasets, each labelled for its own tasks, as one."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mmengine.dataset import ConcatDataset
from mmengine.structures import PixelData

from mtpsl.registry import DATASETS
from mtpsl.structures import batch_leaves
from mtpsl.tasks import Task, build_tasks

from .joint_tasks import check_set_names, resolve_sets
from .partial_label import PartialLabelDataset
from .sampler import SeededIndex


@DATASETS.register_module()
class JointDataset(ConcatDataset):
    """Combine datasets that are labelled for different tasks, to train one model for all tasks.

    An epoch of ``SeededSampler`` visits each image of all sets once; ``JointSampler`` draws some
    sets more often than others. Each sample has the set's name as meta information ``dataset``;
    its ``img_id`` is ``SET/ID``. Nothing depends on the order of ``datasets``.

    Args:
        tasks: task name -> config or task, all that the model predicts.
        datasets: set name -> config of a :class:`PartialLabelDataset` with its own root, pipeline
            and label mapping. Its ``tasks`` is a list of the tasks that it is labelled for, or a
            dict of task name -> options for reading the label files of this set
            (``READING_OPTIONS``), such as ``dict(depth=dict(png_unit=0.001))``. Default: all tasks
            for which its class has labels.
        names: set name -> task name -> name of the task within the set. Two sets can thus have
            tasks of one kind with different classes: ``dict(nyud=dict(rooms='semseg'))``.

    Attributes:
        sets: set name -> dataset, sorted by name.

    Raises:
        ValueError: a set lacks a task, defines it differently, or shares image files with another
            set.
        TypeError: a set is not a :class:`PartialLabelDataset`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import cv2
        >>> import numpy as np
        >>> roots = {name: Path(tempfile.mkdtemp()) for name in ('depth', 'saliency')}
        >>> for name, root in roots.items():
        ...     for folder in ('images', name):
        ...         (root / folder).mkdir()
        ...     _ = cv2.imwrite(str(root / 'images/0.jpg'), np.zeros((8, 8, 3), np.uint8))
        >>> np.save(roots['depth'] / 'depth/0.npy', np.full((8, 8), 2.0, np.float32))
        >>> np.save(roots['saliency'] / 'saliency/0.npy', np.ones((8, 8), np.uint8))
        >>> dataset = JointDataset(
        ...     tasks=dict(depth=dict(type='Depth'), saliency=dict(type='Saliency')),
        ...     datasets=dict(
        ...         rooms=dict(type='FolderDataset', data_root=str(roots['depth']),
        ...                    tasks=['depth']),
        ...         masks=dict(type='FolderDataset', data_root=str(roots['saliency']),
        ...                    tasks=['saliency'])))
        >>> [dataset.get_data_info(index)['img_id'] for index in range(2)]
        ['masks/0', 'rooms/0']
    """

    def __init__(self, *, tasks: Mapping[str, dict | Task],
                 datasets: Mapping[str, dict | PartialLabelDataset],
                 names: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.tasks = build_tasks(tasks)
        check_set_names(datasets, self.tasks)
        names = names or {}
        self.sets = {name: _build(name, dataset)
                     for name, dataset in sorted(resolve_sets(tasks, datasets, names).items())}
        # Set name -> name of the task within the set -> the model's name.
        self._model_names = {
            name: dict(zip(dataset.tasks, dataset.tasks)) | {
                own: task for task, own in names.get(name, {}).items()}
            for name, dataset in self.sets.items()}
        super().__init__(list(self.sets.values()), ignore_keys=['tasks'])
        self._metainfo = dict(tasks=tuple(self.tasks))
        _refuse_shared_images(self.sets)
        _refuse_other_views(self.sets)

    @property
    def on_error(self) -> str:
        """Return ``'skip'`` if one of the sets skips unreadable images."""
        return 'skip' if any(one.on_error == 'skip' for one in self.sets.values()) else 'raise'

    def tasks_of(self, name: str) -> dict[str, Task]:
        """Return the tasks that a set is labelled for, by the model's names."""
        return {task: self.sets[name].tasks[own] for own, task in self._model_names[name].items()}

    def strays(self) -> list[str]:
        """Return the model's tasks that no set is labelled for."""
        return [task for task in self.tasks
                if not any(task in self.tasks_of(name) for name in self.sets)]

    def read_only(self, tasks: Collection[str]) -> None:
        """Leave the labels of other tasks than these, by the model's names, unread from now on."""
        for name, dataset in self.sets.items():
            dataset.read_only([own for own, task in self._model_names[name].items()
                               if task in tasks])

    def __getitem__(self, index: int | SeededIndex) -> dict:
        """Load one sample, see :class:`PartialLabelDataset`."""
        name, own = self._locate(index)
        item = self.sets[name][own]
        for sample in batch_leaves([item['data_samples']] if 'data_samples' in item else []):
            sample.set_metainfo(dict(dataset=name))
            if 'img_id' in sample:
                sample.set_metainfo(dict(img_id=f'{name}/{sample.img_id}'))
            sample.gt = PixelData(**{self._model_names[name][own]: label
                                     for own, label in sample.gt.items()})
        return item

    def get_data_info(self, idx: int) -> dict:
        """Return the image's ``data_list`` entry, with the model's names of the tasks."""
        name, own = self._locate(idx)
        info = self.sets[name].get_data_info(own)
        labels = {self._model_names[name][task]: paths for task, paths in info['labels'].items()}
        return info | dict(dataset=name, img_id=f'{name}/{info["img_id"]}', labels=labels)

    def _locate(self, index: int | SeededIndex) -> tuple[str, int]:
        """Return the set of an image and its index in that set."""
        place, own = self._get_ori_dataset_idx(index)
        return list(self.sets)[place], own


def _build(name: str, config: Any) -> PartialLabelDataset:
    try:
        dataset = DATASETS.build(config) if isinstance(config, Mapping) else config
    except (ValueError, FileNotFoundError, TypeError) as error:
        raise type(error)(f'{name}: {error}') from error
    if not isinstance(dataset, PartialLabelDataset):
        raise TypeError(f'JointDataset: datasets.{name} must be a dataset of labelled images, such '
                        f'as PASCALContext or FolderDataset, got {type(dataset).__name__}; to draw '
                        'a set more often, give JointSampler weights')
    dataset.title = f'{name} ({dataset.title})'
    return dataset


def _refuse_shared_images(sets: Mapping[str, PartialLabelDataset]) -> None:
    """Raise ValueError if an image file is in two sets, where it would count as two images."""
    first: dict[str, str] = {}
    for name, dataset in sets.items():
        for path in image_files(dataset):
            other = first.setdefault(path, name)
            if other != name:
                raise ValueError(
                    f'JointDataset: the image {path} is in {other} and in {name}. All labels of an '
                    'image belong in one set: a FolderDataset with one folder per task, or sets of '
                    'other images')


def _refuse_other_views(sets: Mapping[str, PartialLabelDataset]) -> None:
    """Raise ValueError if the pipelines produce different numbers of views."""
    views = {name: [len(getattr(step, 'views', ())) for step in dataset.pipeline.transforms][-1:]
             for name, dataset in sets.items()}
    counts = {name: count[0] for name, count in views.items() if count}
    if len(set(counts.values())) > 1:
        told = ', '.join(f'{count or "none"} in {name}' for name, count in counts.items())
        raise ValueError('JointDataset: the pipelines of all sets must end with MultiView with an '
                         f'equal number of views, or none may have MultiView, got {told}')


def image_files(dataset: PartialLabelDataset) -> Iterator[str]:
    """Iterate over the image paths of a dataset, with links in folder names resolved."""
    folders: dict[str, str] = {}
    for index in range(len(dataset)):
        folder, name = os.path.split(dataset.get_data_info(index)['img_path'])
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        yield os.path.join(folders[folder], name)
