"""Checking a dataset on disk before anything is trained on it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mtpsl.datasets.label_mapping import count_labels
from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.datasets.transforms import LoadImageFromFile, LoadLabels
from mtpsl.registry import DATASETS, TRANSFORMS
from mtpsl.tasks import Task
from mtpsl.tasks.seen import NAMED, Seen

from .doubles import repeated, same_files, told_repeated, told_twice
from .opened import Opened
from .seen_photos import Photo, told_transparent, truncated
from .turned_copies import turned_copies

PIPELINE = (dict(type='mtpsl.LoadImageFromFile'), dict(type='mtpsl.LoadLabels'))
MANY = 10  # labels of which one at least should differ from the others
OK, DIFFERS, BROKEN = 'ok', 'differs', 'BROKEN'


class Finding(NamedTuple):
    """One line of the check: what was looked at, what is there, what should be, the verdict."""

    split: str
    what: str
    found: str
    expected: str
    verdict: str


class Report(NamedTuple):
    """What a check found.

    Attributes:
        findings: the lines of its table.
        problems: the errors that a training run on this dataset would end with, in its words.
        remarks: why labels look wrong, with what to write in the config.
        seen: split -> task name -> the task and what its opened labels hold.
        photos: split -> what was seen of each opened image.
    """

    findings: list[Finding]
    problems: list[str]
    remarks: list[str]
    seen: dict[str, dict[str, tuple[Task, Seen]]]
    photos: dict[str, list[Photo]]

    @property
    def sound(self) -> bool:
        """Whether everything is as it should be."""
        return not self.problems and all(finding.verdict == OK for finding in self.findings)


def check_dataset(kind: type[PartialLabelDataset], tasks: Mapping[str, dict], data_root: str,
                  sample: int | None = 20) -> Report:
    """Look at both splits of a dataset as the training would.

    That all files are there, the number of images and their size against the published ones (of
    synthetic scenes: against their manifest), every label mapping of ``label_mappings`` against
    the training ids, and, in a sample of images, that image and labels can be read, fit each
    other, and hold values that their tasks know.

    All labels must be there, also those that a mapping withholds.

    Args:
        kind: the dataset's class.
        tasks: task name -> config.
        data_root: its folder.
        sample: how many images of a split are opened, evenly spread; None for all.
    """
    report = Report([], [], [], {}, {})
    published = kind.PUBLISHED | _manifest(Path(data_root))
    for split in published['counts']:
        if not published['counts'][split]:  # scenes may be made for one split alone
            continue
        try:
            dataset = kind(tasks=tasks, data_root=data_root, split=split, pipeline=PIPELINE)
        except (ValueError, OSError) as error:
            report.problems.append(str(error))
            report.findings.append(Finding(split, 'files', '-', 'all there', BROKEN))
            continue
        count, expected = len(dataset), published['counts'][split]
        report.findings.append(Finding(split, 'files', 'all there', 'all there', OK))
        report.findings.append(Finding(split, 'images', str(count), str(expected),
                                       OK if count == expected else DIFFERS))
        if split == 'train':
            _check_mappings(kind, tasks, data_root, report)
        _check_sample(split, dataset, published.get('size'), sample, report)
    if not report.findings:
        report.problems.append(f'{data_root} holds no image, as its synthetic.json says')
    return report


def check_configs(datasets: Mapping[str, dict], sample: int | None = 20) -> Report:
    """Open a sample of the images of datasets as their configs have them.

    Args:
        datasets: what each is called in the table -> its config, ``tasks`` included.
        sample: how many images of each are opened, evenly spread; None for all.
    """
    report, learned = Report([], [], [], {}, {}), dict[str, None]()
    for name, config in datasets.items():
        try:
            dataset = DATASETS.build({**config, 'pipeline': _readers(config)})
        except (ValueError, OSError) as error:
            report.problems.append(str(error))
            report.findings.append(Finding(name, 'files', '-', 'all there', BROKEN))
            continue
        report.findings.append(Finding(name, 'images', str(len(dataset)), 'any', OK))
        _check_sample(name, dataset, None, sample, report)
        paths = _paths(dataset)
        if again := repeated(paths, thorough=True):
            report.findings.append(Finding(name, 'twice', f'{len(again)} images', 'none', DIFFERS))
            report.remarks.append(f'{name}: {told_repeated(again, len(dataset))}')
        both = same_files(learned, paths, thorough=True)
        if name.startswith('train'):
            learned.update(dict.fromkeys(paths))
        if both:
            what = ('in another training set too' if name.startswith('train') else 'trained on too')
            report.findings.append(Finding(name, what, f'{len(both)} images', 'none', DIFFERS))
            report.remarks.append(f'{name}: {told_twice(both, len(dataset), name.split()[0])}')
    return report


def _paths(dataset: PartialLabelDataset) -> list[str]:
    return [info['img_path'] for info in map(dataset.get_data_info, range(len(dataset)))]


def _readers(config: Mapping) -> Sequence[dict]:
    """The steps of a dataset's pipeline that read image and labels, with their options."""
    steps = [step for step in config.get('pipeline', ()) if isinstance(step, Mapping)]
    return [_reader(steps, kind) for kind in (LoadImageFromFile, LoadLabels)]


def _reader(steps: Sequence[Mapping], kind: type) -> dict:
    """The step that is a ``kind``, or a subclass of the user's own."""
    for step in steps:
        found = step.get('type')
        if isinstance(found, str):
            if found.rpartition('.')[2] == kind.__name__:
                break
            found = TRANSFORMS.get(found)
        if isinstance(found, type) and issubclass(found, kind):
            return dict(step, type=found)
    else:
        step = {}
    return dict(step, type=f'mtpsl.{kind.__name__}')


def _manifest(root: Path) -> dict:
    """Counts and size that the writer of synthetic scenes noted, if these are such."""
    try:
        content = json.loads((root / 'synthetic.json').read_text())
        return dict(counts=dict(train=content['num_train'], val=content['num_val']),
                    size=(content['height'], content['width']))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _check_mappings(kind: type[PartialLabelDataset], tasks: Mapping[str, dict], data_root: str,
                    report: Report) -> None:
    for path in sorted(Path(data_root, 'label_mappings').glob('[!.]*.json')):
        what = f'label_mappings/{path.name}'
        try:
            dataset = kind(tasks=tasks, data_root=data_root, split='train',
                           label_mapping=what)
        except (ValueError, OSError) as error:
            report.problems.append(str(error))
            report.findings.append(Finding('train', what, '-', 'ids of the split', BROKEN))
            continue
        per_task, _ = count_labels({
            info['img_id']: tuple(info['labels'])
            for info in map(dataset.get_data_info, range(len(dataset)))})
        found = ', '.join(f'{task} {per_task[task]}' for task in dataset.tasks)
        report.findings.append(Finding('train', what, found, 'ids of the split', OK))


def _check_sample(split: str, dataset: PartialLabelDataset, size: Sequence[int] | None,
                  sample: int | None, report: Report) -> None:
    opened = Opened(dataset, sample)
    report.problems.extend(opened.problems)
    _check_images(split, opened, size, report)
    _check_photos(split, opened, report)
    report.photos[split] = opened.photos
    report.seen[split] = {name: (look.task, look.seen) for name, look in opened.labels.items()}
    _check_labels(split, opened, report)
    _check_places(split, opened, report)


def _check_images(split: str, opened: Opened, size: Sequence[int] | None, report: Report) -> None:
    """Add how many images could be read, and their sizes."""
    number, broken, sizes = len(opened.chosen), len(opened.problems), opened.sizes
    report.findings.append(Finding(split, 'opened', f'{number - broken} of {number} images', 'all',
                                   BROKEN if broken else OK))
    # The commonest three: photographs come in many sizes.
    commonest = sorted(sizes.items(), key=lambda item: -len(item[1]))
    found = ', '.join(f'{h}x{w}' + (f' (image {ids[0]})' if size and (h, w) != tuple(size) else '')
                      for (h, w), ids in commonest[:3]) + ', ...' * (len(sizes) > 3)
    report.findings.append(Finding(
        split, 'image size', found or '-', 'any' if size is None else f'{size[0]}x{size[1]}',
        OK if size is None or set(sizes) == {tuple(size)} else DIFFERS))


def _check_photos(split: str, opened: Opened, report: Report) -> None:
    """Add what photo files say beside their pixels: transparency and turns."""
    add, number = report.findings.append, len(opened.chosen)
    if told := told_transparent(opened.paths):
        add(Finding(split, 'alpha', 'transparent pixels', 'none', DIFFERS))
        report.remarks.append(f'{split}: images {told}')
    for told in truncated(opened.photos):
        add(Finding(split, 'whole images', 'plain lower rows', 'none', DIFFERS))
        report.remarks.append(f'{split}: the images {told}')
    if opened.turned:  # photographs, so whoever drew labels may have seen them either way
        add(Finding(split, 'turned by EXIF', f'{opened.turned} of {number} images',
                    'labels as shown', OK))
    if noted := opened.noted:  # and their labels fit the stored size, or they would be problems
        add(Finding(split, 'EXIF not applied', f'{len(noted)} of {number} images',
                    'labels as stored', OK))
        report.remarks.append(
            f'{split}: {len(noted)} of {number} images ({", ".join(noted[:NAMED])}'
            f'{", ..." * (len(noted) > NAMED)}) are noted as turned (EXIF) and read as stored, '
            'while prediction of a file turns it. Where labels lie as the photo is shown, '
            "orientation='upright' of LoadImageFromFile turns it here too")


def _check_places(split: str, opened: Opened, report: Report) -> None:
    """Add where labels do not belong to what their images show."""
    def add(what: str, found: str, expected: str, remark: str) -> None:
        report.findings.append(Finding(split, what, found, expected, DIFFERS))
        report.remarks.append(f'{split}: the {remark}')

    for name, look in opened.labels.items():
        for what, found, expected, text in look.misplaced(ordered=True):
            add(f'{name} {what}', found, expected, f'{name} labels that were opened {text}')
    for told in opened.same.told():
        add('same labels', told.split(' have')[0], 'each its own', f'tasks {told}')
    for told in turned_copies(opened.dataset) if split.startswith('train') else ():
        add('turned copies', told.split(',')[0], 'turned values', f'labels of the task {told}')


def _check_labels(split: str, opened: Opened, report: Report) -> None:
    """Add what labels hold, and why they look wrong."""
    add = report.findings.append
    for name, look in opened.labels.items():
        seen = look.seen
        if not seen.pixels:  # no label of it among the opened images
            unread = name in opened.unread
            add(Finding(split, name, 'none could be read' if unread else 'no label', 'any',
                        BROKEN if unread else OK))
            continue
        doubt = look.task.doubt(seen)
        # A few labels may be all alike by chance.
        if doubt and seen.alike and not doubt.certain and seen.images < MANY:
            doubt = None
        found = (f'{seen.low:.4g} to {seen.high:.4g}, {100 * seen.known / seen.pixels:.1f} % known'
                 if seen.known else 'nothing known')
        add(Finding(split, name, found, 'known, not all alike', DIFFERS if doubt else OK))
        if doubt:
            report.remarks.append(f'{split}: the {seen.images} {name} labels that were opened '
                                  f'{doubt.text}')
        if split.startswith('train') and seen.blank:  # nothing depends on them in a test
            blank = sum(not one.known for one in seen.labels)
            add(Finding(split, f'{name} blank', f'{blank} of {seen.images} labels', 'none',
                        DIFFERS))
            report.remarks.append(f'{split}: the {name} labels that were opened {seen.blank}')
        if split.startswith('train') and not doubt and (idle := look.task.idle(seen)):
            report.remarks.append(f'{split}: the {name} labels that were opened {idle}')
