"""The commands that check datasets."""

import logging
from collections.abc import Iterator

from mmengine.config import Config
from prettytable import PrettyTable

from mtpsl.datasets.checks.check_dataset import (
    DIFFERS,
    Finding,
    Report,
    check_configs,
    check_dataset,
)
from mtpsl.datasets.checks.contradictions import compare_labels, compare_sets
from mtpsl.datasets.checks.image_scale import Scale, compare_scales, scales
from mtpsl.datasets.transforms.probes.value_changes import Pipeline, other_values, zoomed_measures
from mtpsl.engine.config.dataset_tree import joints, named_leaves
from mtpsl.engine.config.load import load_config
from mtpsl.engine.config.precheck import built_steps, other_colours, other_reading
from mtpsl.registry import DATASETS
from mtpsl.system.config_arguments import one_line_errors
from mtpsl.tasks.seen import Seen

from .check_data import beyond_bins

SHOWN = 10  # problems written out in full


def run_check(tool: str, config: str, root: str, sample: int | None) -> None:
    """Check the dataset of a config at another place and print the table.

    Args:
        tool: name of the command, for its errors.
        config: a config with ``train_dataloader``, such as ``_base_/datasets/nyud.py``.
        root: the folder of the dataset.
        sample: images of a split to open, None for all.

    Raises:
        SystemExit: status 1 where something is broken or not as published.
    """
    with one_line_errors(tool):
        level = logging.root.manager.disable
        logging.disable(logging.INFO)  # that the environment says another place does not matter
        try:
            cfg = load_config(config)
        finally:
            logging.disable(level)
        dataset = cfg.train_dataloader.dataset
        _conclude(root, check_dataset(DATASETS.get(dataset.type), cfg.tasks, root, sample))


def run_config_check(tool: str, config: str, options: dict | None, sample: int | None) -> None:
    """Check the datasets of a config as it has them and print the table.

    Args:
        tool: name of the command, for its errors.
        config: any config with data loaders.
        options: overrides, see :func:`load_config`.
        sample: images of each dataset to open, None for all.

    Raises:
        SystemExit: status 1 where something is broken, or ten labels and more are all alike.
    """
    with one_line_errors(tool):
        cfg = load_config(config, options)
        report = check_configs(_datasets(cfg), sample)
        _compare_splits(cfg, report)
        _conclude(config, report)


def _compare_splits(cfg: Config, report: Report) -> None:
    for what, told_of in (('colours', other_colours), ('reading of labels', other_reading)):
        for split in ('val', 'test'):
            if told := told_of(cfg, split):
                report.remarks.append(told)
                report.findings.append(Finding(split, what, 'others', 'as in training', DIFFERS))
                break
    for name, told in _contradictions(cfg, report):
        report.remarks.append(f'{name}: {told}')
        report.findings.append(Finding(name, 'labels', 'others', 'as in training', DIFFERS))
    for name, seen in report.seen.items():
        for told in beyond_bins(cfg, seen) if name.startswith('train') else ():
            report.remarks.append(f'{name}: {told}')
            report.findings.append(Finding(name, 'labels', 'beyond bins', 'within', DIFFERS))
    _compare_pipelines(cfg, report)
    for name, told in _other_scales(cfg, report):
        report.remarks.append(f'{name}: {told}')
        report.findings.append(Finding(name, 'image size', 'another', 'as in training', DIFFERS))


def _compare_pipelines(cfg: Config, report: Report) -> None:
    """Add what pipelines make of the values of labels."""
    found: dict[str, list[Pipeline]] = {'train': []}
    for name, config in _datasets(cfg).items():
        tasks = {task_name: task for task_name, (task, _) in report.seen.get(name, {}).items()}
        found.setdefault(name.partition(' ')[0], []).append((built_steps(cfg, config), tasks))
    learned = found.pop('train')
    for split, pipelines in found.items():
        for told in (*(told for one in pipelines for told in zoomed_measures(*one)),
                     *(other_values(learned, pipelines) if learned else ())):
            report.remarks.append(f'{split}: {told}')
            report.findings.append(Finding(split, 'pipeline', 'other values', 'as in the files',
                                           DIFFERS))


def _other_scales(cfg: Config, report: Report) -> Iterator[tuple[str, str]]:
    """Datasets by their names in the table whose images are of another size than in training."""
    found: dict[str, dict[str, list[Scale]]] = {'train': {}}
    for name, config in _datasets(cfg).items():
        split, _, known = name.partition(' ')
        found.setdefault(split, {}).setdefault('' if known.isdigit() else known, []).extend(
            scales(report.photos.get(name, []), built_steps(cfg, config)))
    learned = found.pop('train')
    for split, tested in found.items():
        for told in compare_scales(learned, tested):
            yield split, told


def _contradictions(cfg: Config, report: Report) -> Iterator[tuple[str, str]]:
    """Datasets by their names in the table, and how their labels are unlike those of others."""
    sets: dict[str, dict] = {}
    loader = cfg.get('train_dataloader')
    for joint in joints(loader.dataset) if loader else ():
        for name in joint['datasets']:
            renamed = {own: task for task, own in ((joint.get('names') or {}).get(name)
                                                   or {}).items()}
            sets[name] = {renamed.get(own, own): seen
                          for own, seen in report.seen.get(f'train {name}', {}).items()}
    unnamed = {name: seen for name, seen in report.seen.items()
               if name.partition(' ')[0] == 'train' and name.partition(' ')[2].isdigit()}
    for told in (*compare_sets(sets), *compare_sets(unnamed)):
        yield 'train', told
    for name, tested in report.seen.items():
        split, _, known = name.partition(' ')
        parts = [seen for other, seen in report.seen.items() if other.startswith('train')
                 and (not known or known.isdigit() or other == f'train {known}')]
        learned = {task: (one, Seen.union([part[task][1] for part in parts if task in part]))
                   for task, (one, _) in tested.items() if any(task in part for part in parts)}
        for told in compare_labels(learned, tested) if split != 'train' else ():
            yield name, told


def _datasets(cfg: Config) -> dict[str, dict]:
    """The datasets of a config by their splits, those inside of wrappers one by one."""
    loaders = {split: cfg.get(f'{split}_dataloader') for split in ('train', 'val', 'test')}
    found: dict[str, dict] = {}
    for split, loader in loaders.items():
        inside = list(named_leaves(loader.dataset)) if loader else []
        for number, (name, dataset) in enumerate(inside, 1):
            if dataset not in found.values():  # testing is often on the validation set
                known = name or (str(number) if len(inside) > 1 else '')
                found[f'{split} {known}'.rstrip()] = dataset
    if not found:
        raise ValueError(f'{cfg.filename} has no data loader')
    return found


def _conclude(name: str, report: Report) -> None:
    print(format_report(name, report), flush=True)
    if not report.sound:
        raise SystemExit(1)


def format_report(name: str, report: Report) -> str:
    """The table, the problems below it and a last line that sums up."""
    table = PrettyTable(['split', 'what', 'found', 'expected', 'verdict'], align='l')
    table.add_rows([list(finding) for finding in report.findings])
    lines = [str(table), *report.remarks, *report.problems[:SHOWN]]
    if len(report.problems) > SHOWN:
        lines.append(f'and {len(report.problems) - SHOWN} more')
    differing = sum(finding.verdict == 'differs' for finding in report.findings)
    states = [f'has problems: {len(report.problems)}'] if report.problems else []
    if differing:
        states.append(f'is not as expected in {differing} of these lines')
    lines.append(f'{name} ' + (
        ' and '.join(states) or (f'has no problems; remarks, above: {len(report.remarks)}'
                                 if report.remarks else 'is as it should be')))
    return '\n'.join(lines)
