"""One evaluator for all tasks: it asks each task for its evidence and its score."""

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from datetime import timedelta
from multiprocessing import get_context

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from mtpsl.registry import METRICS
from mtpsl.tasks import Task, build_tasks

from .delta_m import delta_m, single_task_figures

QUEUED_PER_WORKER = 32


@METRICS.register_module()
class MultiTaskMetric(BaseMetric):
    """``<task>/<metric>`` of the final and ``initial/<task>/<metric>`` of the initial predictions.

    The evidence is kept per image and put in the order of the image ids before it is scored, so
    the result is the same to the last digit however the set was sharded, and an image that a
    sampler dealt twice counts once. Ignored pixels and padding never count.

    Args:
        tasks: task name -> task or its config.
        single_task: headline figures of single-task models, by task: numbers, or paths of result
            files. Adds ``delta_m``. None leaves it out.
        per_class: also report each class, ``<task>/IoU.<class>`` (final predictions only).
        workers: processes for long work on the CPU (boundary matching); 0 does it in this
            process, None takes this rank's share of the machine's cores, 8 at most.
        collect_device: where results of several ranks meet: 'gpu' uses the process group,
            'cpu' a folder that all ranks see.
    """

    default_prefix = ''

    def __init__(self, tasks: Mapping[str, dict | Task],
                 single_task: Mapping[str, float | str] | None = None, per_class: bool = False,
                 workers: int | None = None, collect_device: str = 'gpu') -> None:
        super().__init__(collect_device)
        self.tasks = build_tasks(tasks)
        self.single_task = single_task and single_task_figures(single_task, self.tasks)
        self.per_class = per_class
        self.workers = _share_of_cores() if workers is None else workers
        self._pool: ProcessPoolExecutor | None = None
        self._queue: deque[Future] = deque()

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Take the evidence of a batch: ``pred`` (and ``initial``) against ``gt`` by task."""
        for sample in data_samples:
            stats = {
                (field, name): self._stats(task, sample[field][name], sample['gt'][name])
                for field in ('pred', 'initial') if field in sample
                for name, task in self.tasks.items() if name in sample['gt']}
            self.results.append(dict(img_id=sample['img_id'], stats=stats))

    def _stats(self, task: Task, prediction: Tensor, label: Tensor) -> Tensor | Future:
        if not (task.host_stats and self.workers):
            return task.stats(prediction[None], label[None])[0]
        if self._pool is None:
            # A forked child of a process with running threads may hang: spawn.
            self._pool = ProcessPoolExecutor(self.workers, get_context('spawn'), _single_thread)
        if len(self._queue) >= QUEUED_PER_WORKER * self.workers:  # full-size maps must not pile up
            self._queue.popleft().result()
        self._queue.append(self._pool.submit(
            _host_stats, task, prediction.float().cpu().numpy(), label.cpu().numpy()))
        return self._queue[-1]

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the evidence of all ranks and score it."""
        self._wait()
        for result in self.results:
            result['stats'] = {key: value.result() if isinstance(value, Future)
                               else value.cpu().numpy() for key, value in result['stats'].items()}
        if self._pool is not None:  # its processes hold memory that training may need
            self._pool.shutdown()
            self._pool = None
            self._queue.clear()
        return super().evaluate(size)

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
        """Score the evidence of all images, see the class."""
        unique = {result['img_id']: result['stats'] for result in results}
        ordered = [unique[image] for image in sorted(unique)]
        metrics: dict[str, float] = {}
        for field, prefix in (('pred', ''), ('initial', 'initial/')):
            headlines = {}
            for name, task in self.tasks.items():
                rows = [stats[field, name] for stats in ordered if (field, name) in stats]
                if not rows:
                    continue
                stats = torch.from_numpy(np.stack(rows))
                scores = task.score(stats)
                headlines[name] = scores[task.headline]
                if self.per_class and not prefix:
                    scores |= task.class_scores(stats)
                metrics |= {f'{prefix}{name}/{key}': value for key, value in scores.items()}
            if self.single_task and len(headlines) == len(self.tasks):
                metrics[f'{prefix}delta_m'] = delta_m(headlines, self.single_task, self.tasks)
        return metrics


def _share_of_cores() -> int:
    ranks = int(os.environ.get('LOCAL_WORLD_SIZE', 1))  # torchrun's name
    return max(1, min((os.cpu_count() or 1) // ranks, 8))


def _single_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _host_stats(task: Task, prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Evidence of one image in a worker process; arrays, since tensors would travel as files."""
    return task.stats(torch.from_numpy(prediction)[None], torch.from_numpy(label)[None])[0].numpy()
