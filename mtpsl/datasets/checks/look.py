"""A look at some labels before a training or a test, so that none runs for nothing."""

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np
from mmengine.logging import print_log

from mtpsl.datasets.joint import JointDataset
from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.pictures import LEVELS
from mtpsl.datasets.sampler import SeededIndex
from mtpsl.datasets.transforms.contract import names_by_chance
from mtpsl.datasets.transforms.loading import LoadLabels, read_label
from mtpsl.datasets.transforms.probes.value_changes import zoomed_measures
from mtpsl.datasets.unreadable import MixedCodingsError, UnreadableFileError
from mtpsl.datasets.walks import leaves_of, spread
from mtpsl.structures import batch_leaves
from mtpsl.tasks import Task
from mtpsl.tasks.seen import Seen

from .bars import plain_bars
from .check_dataset import MANY
from .contradictions import compare_sets
from .label_look import LabelLook, SameLabels
from .seen_photos import told_transparent
from .turned_copies import turned_copies

# Labels of a task that are opened, and pixels after which no other is; more of both where they
# say nothing.
AT_LEAST, PIXELS = 8, 24_000_000
AT_MOST, PIXELS_AT_MOST = 64, 40_000_000
IMAGES = 2000  # that are asked which labels they have


def look_at_labels(dataset: object, training: bool = True) -> dict[str, tuple[Task, Seen]]:
    """Look at a few labels of each task of a dataset, spread over it, and say what is wrong.

    Eight labels of each task are opened, more where these say nothing; always the same ones, and
    none that is withheld. One image a task goes through the whole pipeline, to see that its label
    arrives. Of datasets inside of wrappers each is looked at.

    Warns, by the log, of tasks that are not labelled or whose labels say nothing; in training also
    of single labels without a known pixel.

    Args:
        dataset: any; only a :class:`PartialLabelDataset` is looked at.
        training: the dataset is trained on: where nothing is to be learned is an error then.

    Returns:
        Task name, of named sets ``<task> of <set>`` -> the task and what was seen of its labels.

    Raises:
        ValueError: labels whose form is misread, such as masks of 0 and 255 where 255 is unknown;
            in training also no label that leaves the pipeline, nothing to learn in any task, or
            in all labels, ten at least, of one.
        RuntimeError: a file that cannot be read, unless the dataset skips these.
    """
    looks = [_Look(leaf) for leaf in leaves_of(dataset)]
    for leaf in () if training else leaves_of(dataset):
        if drawn := names_by_chance(leaf.pipeline.transforms):
            print_log(f'{leaf.title}: {drawn} in the pipeline changes test images by '
                      'chance: figures are not those of the images', 'current', logging.WARNING)
        for told in zoomed_measures(leaf.pipeline.transforms, leaf.tasks):
            print_log(f'{leaf.title}: {told}', 'current', logging.WARNING)
    if not training and len(looks) > 1 and not isinstance(dataset, JointDataset):
        _refuse_doubles(looks)
    # Each named set is to have labels of its own tasks; of others, what one lacks another may have.
    parts = ({name: [look] for name, look in zip(dataset.sets, looks)}
             if isinstance(dataset, JointDataset) else {'': looks} if looks else {})
    for together in parts.values():
        _conclude(together, training)
    if isinstance(dataset, JointDataset):
        _tell_strays(dataset, training)
    return {f'{name} of {dataset_name}' if dataset_name else name: (
                task, Seen.union([look.labels[name].seen for look in together
                                  if name in look.labels]))
            for dataset_name, together in parts.items()
            for one in together for name, task in one.dataset.tasks.items()}


def _tell_strays(dataset: JointDataset, training: bool) -> None:
    """Say which tasks no set is labelled for: in training a ValueError."""
    if strays := dataset.strays():
        sets = '; '.join(f'{name}: {", ".join(dataset.tasks_of(name))}' for name in dataset.sets)
        told = f'JointDataset: no set has the task {", ".join(strays)}. The sets have {sets}'
        if training:
            raise ValueError(f'{told}; tasks of a set says which it is labelled for')
        print_log(f'{told}: the others are predicted and not scored', 'current', logging.WARNING)


def _refuse_doubles(looks: list['_Look']) -> None:
    """Raise ValueError where images of several test sets have one id: one of them would count."""
    first: dict[str, str] = {}
    for look in looks:
        for info in map(look.dataset.get_data_info, range(len(look.dataset))):
            path = first.setdefault(info['img_id'], info['img_path'])
            if path != info['img_path']:
                raise ValueError(f'{path} and {info["img_path"]} are both called '
                                 f'{info["img_id"]!r}: as test images of one evaluation only one '
                                 'would count; rename files, or give each set a name by '
                                 'JointDataset')


class _Look:
    """What was seen of one dataset.

    Attributes:
        labels: task -> what was seen of its labels.
        labelled: tasks that an image was found to be labelled for.
        lost: those of them whose labels do not leave the pipeline.
        same: tasks whose labels are the same.
        complete: tasks of which every image was asked and every label opened.
    """

    def __init__(self, dataset: PartialLabelDataset) -> None:
        self.dataset = dataset
        self.labels = {name: LabelLook(task, bool(dataset.PUBLISHED))
                       for name, task in dataset.tasks.items()}
        self._asked: Counter[str] = Counter()  # labels that were to be opened
        self._sent: Counter[str] = Counter()  # images that went through the pipeline
        steps = dataset.pipeline.transforms
        # Label files that a transform of the user's reads may be of any kind.
        self._reader = next((step for step in steps if isinstance(step, LoadLabels)), None)
        self.labelled: set[str] = set()
        self.same = SameLabels(dataset.tasks)
        self._arrived: set[str] = set()
        passed_over: set[str] = set()
        self._greys: dict[int, tuple[float, float]] = {}  # by image, as the model gets it
        wanted = set(dataset.tasks)
        for number, index in enumerate(spread(len(dataset))):
            wanted = {name for name in wanted if self._wants(name, dataset.tasks[name])}
            if number >= IMAGES or not wanted:
                passed_over.update(dataset.tasks)
                break
            info = dataset.get_data_info(index)
            used = set(info['labels'])
            self.labelled |= used
            passed_over |= used - wanted
            if self._reader is not None:
                self._open(info, wanted)
            if any(self._sent[name] < AT_LEAST for name in used - self._arrived):
                self._arrived |= self._through_pipeline(index, used)
        self.complete = set(dataset.tasks) - passed_over
        for name, look in self.labels.items():
            look.seen.codings = dataset.codings(name)
        for number, index in enumerate(spread(len(dataset))):
            if number >= AT_LEAST or not self.flat or not self._greys:
                break
            self._through_pipeline(index, set())
        self.lost = [name for name in dataset.tasks if name in self.labelled - self._arrived]

    @property
    def seen_images(self) -> int:
        """Images that went through the pipeline."""
        return len(self._greys)

    @property
    def flat(self) -> bool:
        """Whether no image that was seen has more than a few greys."""
        return all(high - low < LEVELS for low, high in self._greys.values())

    @property
    def greys(self) -> tuple[float, float]:
        """The least and the largest value of the images that were seen."""
        low, high = zip(*self._greys.values())
        return min(low), max(high)

    def _wants(self, name: str, task: Task) -> bool:
        if self._reader is None:
            return name not in self._arrived and self._sent[name] < AT_LEAST
        seen, asked = self.labels[name].seen, self._asked[name]
        pixels = seen.pixels / task.label_channels
        if asked < AT_LEAST and pixels < PIXELS:
            return True
        return asked < AT_MOST and pixels < PIXELS_AT_MOST and (
            not seen.images or task.doubt(seen) is not None)

    def _open(self, info: dict, wanted: set[str]) -> None:
        opened: dict = {}
        read = self.dataset.read_image(info) if wanted & set(info['labels']) else None
        image, orientation = read or (None, 1)
        bars = None if image is None else plain_bars(image)
        maps: dict[str, np.ndarray] = {}
        # Labels of a turned photo are turned as the pipeline does.
        size = None if image is None or orientation == 1 else image.shape[:2]
        for name, paths in info['labels'].items():
            if name not in wanted:
                continue
            self._asked[name] += 1
            task = self.dataset.tasks[name]
            try:
                files = self._reader.turned(  # type: ignore[union-attr]
                    name, self.dataset.label_files(name, paths), task, orientation)
                label = read_label(task, files, size, opened)
            except (UnreadableFileError, MixedCodingsError) as error:
                mixed = isinstance(error, MixedCodingsError)
                none = not self.labels[name].seen.images and self._asked[name] >= AT_LEAST
                if self.dataset.on_error != 'skip' or none or mixed:
                    raise RuntimeError(f'{self.dataset.title}, image {info["img_id"]}: '
                                       f'{error}') from error
                continue
            self.labels[name].add(label, ' + '.join(paths), image, bars, info['img_id'])
            maps[name] = label
        self.same.add(maps)

    def _through_pipeline(self, index: int, used: set[str]) -> set[str]:
        """The tasks whose labels are in the sample; ``used`` where that cannot be told."""
        self._sent.update(used)
        sample = self.dataset[SeededIndex(0, 0, index)]
        packed = sample.get('data_samples') if isinstance(sample, dict) else None
        for image in batch_leaves([sample.get('inputs')]) if packed is not None else ():
            self._greys[index] = float(image.min()), float(image.max())
        if packed is None:
            return used
        views = list(batch_leaves([packed]))
        if any(view.get('skipped') for view in views):  # it is another image
            return used
        return set().union(*(view.gt.keys() for view in views))


def _conclude(looks: list[_Look], training: bool) -> None:
    title = ' and '.join(dict.fromkeys(look.dataset.title for look in looks))
    lost = dict.fromkeys(name for look in looks for name in look.lost)
    if lost:
        text = (f'{title}: labels of {", ".join(lost)} do not leave the pipeline, which needs '
                'LoadLabels after LoadImageFromFile')
        if training:
            raise ValueError(f'{text}: nothing would be learned')
        print_log(text, 'current', logging.WARNING)
    remarks, refused, mute = [], False, []
    tasks = {name: task for look in looks for name, task in look.dataset.tasks.items()}
    for name, task in tasks.items():
        mine = [look for look in looks if name in look.dataset.tasks]
        number = sum(look.labels[name].seen.images for look in mine)
        complete = all(name in look.complete for look in mine)
        doubts = [task.doubt(seen) for look in mine if (seen := look.labels[name].seen).images]
        certain = next((doubt for doubt in doubts if doubt and doubt.certain), None)
        # What one of several datasets lacks another may have.
        seen = Seen.union([look.labels[name].seen for look in mine])
        doubt = certain or number and task.doubt(seen)
        labelled = any(name in look.labelled for look in mine)
        if doubt:
            remarks.append(f'the {number} labels of the task {name} that were opened {doubt.text}')
            if doubt.mute:
                remarks[-1] += ': nothing can be learned from them'
            refused |= doubt.certain or doubt.mute and training and complete and number >= MANY
        elif not labelled and complete and not all(
                name in getattr(look.dataset, 'optional', ()) for look in mine):
            remarks.append(f'no image is labelled for the task {name}')
        if training and seen.blank:
            remarks.append(f'the labels of the task {name} that were opened {seen.blank}')
        if training and not doubt:
            remarks += [f'the labels of the task {name} that were opened {told}'
                        for told in (task.idle(seen), task.hidden(seen)) if told]
        remarks += [f'the labels of the task {name} that were opened {found.text}'
                    for look in mine
                    for found in look.labels[name].misplaced(bool(doubt), files=not training)]
        if complete and (doubt and doubt.mute or not labelled):
            mute.append(name)
    remarks += _of_images(looks, training)
    remarks += compare_sets({f'dataset {number}': {
        name: (task, look.labels[name].seen) for name, task in look.dataset.tasks.items()}
        for number, look in enumerate(looks, 1)})
    if refused or training and len(mute) == len(tasks):
        raise ValueError(f'{title}: {"; ".join(remarks)}')
    for remark in dict.fromkeys(remarks):
        print_log(f'{title}: {remark}', 'current', logging.WARNING)


def _of_images(looks: list[_Look], training: bool) -> Iterator[str]:
    """Yield what is wrong with images, whatever they are labelled for, and with copies of them."""
    for look in looks:
        if look.seen_images and look.flat:
            yield ('the images that were opened hold {:g} to {:g} only, of 0 to 255: nothing can '
                   'be seen in them'.format(*look.greys))
        some = [look.dataset.get_data_info(index)['img_path']
                for index in islice(spread(len(look.dataset)), AT_LEAST)]
        if told := told_transparent(some):
            yield f'images {told}'
        yield from (f'the tasks {told}' for told in look.same.told())
        for told in turned_copies(look.dataset) if training else ():
            yield f'the labels of the task {told}'
