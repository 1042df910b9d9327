"""One evaluator for all tasks: it asks each task for its statistics and its score."""

import logging
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from datetime import timedelta
from multiprocessing import get_context

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from torch import Tensor

from mtpsl.registry import METRICS
from mtpsl.structures.outputs import METRIC_PREFIXES
from mtpsl.system.parallel import start_worker
from mtpsl.tasks import Task, build_tasks

from .delta_m import figures_by_set, mean_gain
from .score_names import check_primary, primary_score

QUEUED_PER_WORKER = 32


@METRICS.register_module()
class MultiTaskMetric(BaseMetric):
    """``<task>/<metric>`` of the final and ``initial/<task>/<metric>`` of the initial predictions.

    Of a :class:`~mtpsl.datasets.joint.JointDataset` each set is scored by itself, and its name
    comes first: ``<set>/<task>/<metric>`` and ``<set>/initial/<task>/<metric>``.

    Statistics are kept per image and sorted by image id before they are scored, so the result is
    the same to the last digit however the set was sharded, and images that the distributed
    sampler repeats are counted once. Ignored pixels and padding never count.

    Args:
        tasks: task name -> task or its config.
        single_task: primary metrics of single-task models by task: numbers, or paths of result
            files. Adds ``delta_m``. None leaves it out. Of named sets: set -> task -> figure;
            ``delta_m`` is then over all tasks of all these sets, ``<set>/delta_m`` of one.
        per_class: also report each class, ``<task>/IoU.<class>`` (final predictions only).
        slow_tasks: whether tasks whose statistics take long on the CPU (boundaries) are scored;
            False for validations during training, which then have no ``delta_m``.
        workers: processes for long work on the CPU (boundary matching); 0 does it in this
            process, None takes this rank's share of the machine's cores, 8 at most.
        keep_statistics: keep ``image_statistics`` after an evaluation: some 30 KB an image.
        collect_device: where results of several ranks meet: 'gpu' uses the process group,
            'cpu' a folder that all ranks see.

    Raises:
        ValueError: no task is left to score, or a task's score lacks its primary metric.

    Attributes:
        scored: task name -> task, of those that are scored.
        image_statistics: image id -> ('pred' or 'initial', task name) -> (K,) statistics, of what
            was evaluated last; on the main process, with ``keep_statistics``.
    """

    default_prefix = ''

    def __init__(self, tasks: Mapping[str, dict | Task],
                 single_task: Mapping[str, float | str | Mapping[str, float | str]] | None = None,
                 per_class: bool = False,
                 slow_tasks: bool = True, workers: int | None = None,
                 keep_statistics: bool = False, collect_device: str = 'gpu') -> None:
        super().__init__(collect_device)
        self.tasks = build_tasks(tasks)
        self.scored = {name: task for name, task in self.tasks.items()
                       if slow_tasks or not task.stats_on_cpu}
        if not self.scored:
            raise ValueError('MultiTaskMetric: slow_tasks must be True where all tasks are slow: '
                             f'{", ".join(self.tasks)}')
        for task in self.scored.values():
            check_primary(task)
        self.single_task = figures_by_set(single_task, self.tasks) if single_task else None
        self.per_class = per_class
        self.workers = _share_of_cores() if workers is None else workers
        self.keep_statistics = keep_statistics
        self._pool: ProcessPoolExecutor | None = None
        self._queue: deque[Future] = deque()
        self.image_statistics: dict[str, dict] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Take the statistics of a batch: ``pred`` (and ``initial``) against ``gt`` by task."""
        for sample in data_samples:
            stats = {
                (field, name): self._stats(task, sample[field][name], sample['gt'][name])
                for field in METRIC_PREFIXES if field in sample
                for name, task in self.scored.items() if name in sample['gt']}
            self.results.append(dict(img_id=sample['img_id'], dataset=sample.get('dataset', ''),
                                     stats=stats))

    def _stats(self, task: Task, prediction: Tensor,
               label: Tensor) -> Tensor | np.ndarray | Future[np.ndarray]:
        if not task.stats_on_cpu:
            return task.stats(prediction[None], label[None])[0]
        work = (task, prediction.float().cpu().numpy(), label.cpu().numpy())
        if not self.workers:
            return stats_on_cpu(*work)
        if self._pool is None:
            # A forked child of a process with running threads may hang: spawn.
            self._pool = ProcessPoolExecutor(self.workers, get_context('spawn'), _start)
        if len(self._queue) >= QUEUED_PER_WORKER * self.workers:  # full-size maps must not pile up
            self._queue.popleft().result()
        self._queue.append(self._pool.submit(stats_on_cpu, *work))
        return self._queue[-1]

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the statistics of all ranks and score them."""
        self._wait()
        for result in self.results:
            result['stats'] = {key: _to_array(value) for key, value in result['stats'].items()}
        if self._pool is not None:  # its processes hold memory that training may need
            self._pool.shutdown()
            self._pool = None
            self._queue.clear()
        return super().evaluate(size)  # ends on all ranks together

    def _wait(self) -> None:
        """Wait for the worker processes and say every ten seconds how far they are."""
        pending = {future for future in self._queue if not future.done()}
        total, start = len(pending), time.monotonic()
        while pending:
            _, pending = wait(pending, timeout=10)
            if pending and total > len(pending):
                finished = total - len(pending)
                left = (time.monotonic() - start) / finished * len(pending)
                MMLogger.get_current_instance().info(
                    f'Boundary matching on {self.workers} processes: {finished}/{total} maps  '
                    f'eta: {timedelta(seconds=round(left))}')

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Score the statistics of all images, see the class."""
        unique = {result['img_id']: result for result in results}
        if self.keep_statistics:
            self.image_statistics = {image: one['stats'] for image, one in unique.items()}
        sets: dict[str, list[dict]] = {}
        for image in sorted(unique):
            sets.setdefault(unique[image]['dataset'], []).append(unique[image]['stats'])
        metrics: dict[str, float] = {}
        measured: dict[tuple[str, str], dict[str, float]] = {}
        for name in sorted(sets):
            for field, prefix in METRIC_PREFIXES.items():
                scores, primary_metrics = self._score(sets[name], field)
                measured[name, prefix] = primary_metrics
                gain = self._gain([name], prefix, measured)
                metrics |= {f'{name}/{prefix}{key}' if name else f'{prefix}{key}': value
                            for key, value in (scores | gain).items()}
        if any(sets):
            self._tell_left_out(measured)
            for prefix in METRIC_PREFIXES.values():
                gain = self._gain(list(self.single_task or ()), prefix, measured)
                metrics |= {f'{prefix}{key}': value for key, value in gain.items()}
        return metrics

    _told = False

    def _tell_left_out(self, measured: Mapping[tuple[str, str], Mapping[str, float]]) -> None:
        """Warn of figures of named sets that ``delta_m`` leaves out."""
        given = self.single_task or {}
        left = [f'{task} of {name}' for (name, prefix), scores in measured.items() if not prefix
                for task in scores if task not in given.get(name, ())]
        if given and left and not self._told:
            self._told = True
            print_log(f'single_task has no figure for {", ".join(left)}: delta_m is of the others '
                      'alone', 'current', logging.WARNING)

    def _score(self, images: Sequence[dict], field: str,
               ) -> tuple[dict[str, float], dict[str, float]]:
        """``<task>/<metric>`` of the images of one set, and the primary metrics by task."""
        metrics: dict[str, float] = {}
        primary_metrics: dict[str, float] = {}
        for name, task in self.scored.items():
            rows = [stats[field, name] for stats in images if (field, name) in stats]
            if not rows:
                continue
            stats = torch.from_numpy(np.stack(rows))
            scores = task.score(stats)
            primary_metrics[name] = primary_score(task, scores)
            if self.per_class and not METRIC_PREFIXES[field]:
                scores |= task.class_scores(stats)
            metrics |= {f'{name}/{key}': value for key, value in scores.items()}
        return metrics, primary_metrics

    def _gain(self, sets: Sequence[str], prefix: str,
              measured: Mapping[tuple[str, str], Mapping[str, float]]) -> dict[str, float]:
        """``delta_m`` over these sets; nothing where a figure of theirs is missing."""
        wanted = {f'{name}/{task}': (name, task) for name in sets
                  for task in (self.single_task or {}).get(name, ())}
        scores = {key: measured.get((name, prefix), {}).get(task)
                  for key, (name, task) in wanted.items()}
        if not wanted or None in scores.values():
            return {}
        return {'delta_m': mean_gain(
            {key: score for key, score in scores.items() if score is not None},
            {key: (self.single_task or {})[name][task] for key, (name, task) in wanted.items()},
            {key: self.tasks[task].higher_is_better for key, (_, task) in wanted.items()})}


def _share_of_cores() -> int:
    cores = int(os.environ.get('SLURM_CPUS_PER_TASK') or os.cpu_count() or 1)
    ranks = int(os.environ.get('LOCAL_WORLD_SIZE', 1))  # torchrun's name; unset under srun
    return max(1, min(cores // ranks, 8))


def _start() -> None:
    start_worker()
    torch.set_num_threads(1)


def stats_on_cpu(task: Task, prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """:meth:`mtpsl.tasks.Task.stats` of one image, in whichever process.

    Arrays, not tensors, which would travel to a worker process as files.

    Args:
        task: what the maps are of.
        prediction: (C, H, W).
        label: (c, H, W).

    Returns:
        (K,) float64.
    """
    return task.stats(torch.from_numpy(prediction)[None], torch.from_numpy(label)[None])[0].numpy()


def _to_array(value: Tensor | np.ndarray | Future[np.ndarray]) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.cpu().numpy()
    return value.result() if isinstance(value, Future) else value
