"""One evaluator for all tasks: it asks each task for its evidence and its score."""

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from datetime import timedelta
from multiprocessing import get_context

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from mtpsl.registry import METRICS
from mtpsl.structures.outputs import METRIC_PREFIXES
from mtpsl.system.parallel import start_worker
from mtpsl.tasks import Task, build_tasks

from .delta_m import delta_m, single_task_figures
from .evidence import Evidence, forget, host_evidence

QUEUED_PER_WORKER = 32


@METRICS.register_module()
class MultiTaskMetric(BaseMetric):
    """``<task>/<metric>`` of the final and ``initial/<task>/<metric>`` of the initial predictions.

    The evidence is kept per image and put in the order of the image ids before it is scored, so
    the result is the same to the last digit however the set was sharded, and an image that a
    sampler dealt twice counts once. Ignored pixels and padding never count.

    Args:
        tasks: task name -> task or its config.
        single_task: primary metrics of single-task models by task: numbers, or paths of result
            files. Adds ``delta_m``. None leaves it out.
        per_class: also report each class, ``<task>/IoU.<class>`` (final predictions only).
        workers: processes for long work on the CPU (boundary matching); 0 does it in this
            process, None takes this rank's share of the machine's cores, 8 at most.
        evidence_dir: folder that keeps each image's evidence of such work until all is scored, so
            that the next evaluation goes on where one was killed; see :mod:`.evidence`. All ranks
            may share it. Its files are removed in the end. None keeps none.
        keep_statistics: keep ``image_statistics`` after an evaluation: some 30 KB an image.
        collect_device: where results of several ranks meet: 'gpu' uses the process group,
            'cpu' a folder that all ranks see.

    Attributes:
        image_statistics: image id -> ('pred' or 'initial', task name) -> (K,) evidence, of what
            was evaluated last; on the main process, with ``keep_statistics``.
    """

    default_prefix = ''

    def __init__(self, tasks: Mapping[str, dict | Task],
                 single_task: Mapping[str, float | str] | None = None, per_class: bool = False,
                 workers: int | None = None, evidence_dir: str | None = None,
                 keep_statistics: bool = False, collect_device: str = 'gpu') -> None:
        super().__init__(collect_device)
        self.tasks = build_tasks(tasks)
        self.single_task = single_task_figures(single_task, self.tasks) if single_task else None
        self.per_class = per_class
        self.workers = _share_of_cores() if workers is None else workers
        self.evidence_dir = evidence_dir
        self.keep_statistics = keep_statistics
        self._pool: ProcessPoolExecutor | None = None
        self._queue: deque[Future] = deque()
        self.image_statistics: dict[str, dict] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Take the evidence of a batch: ``pred`` (and ``initial``) against ``gt`` by task."""
        for sample in data_samples:
            stats = {
                (field, name): self._stats(task, sample[field][name], sample['gt'][name])
                for field in METRIC_PREFIXES if field in sample
                for name, task in self.tasks.items() if name in sample['gt']}
            self.results.append(dict(img_id=sample['img_id'], stats=stats))

    def _stats(self, task: Task, prediction: Tensor,
               label: Tensor) -> Tensor | Evidence | Future[Evidence]:
        if not task.stats_on_cpu:
            return task.stats(prediction[None], label[None])[0]
        work = (task, prediction.float().cpu().numpy(), label.cpu().numpy(), self.evidence_dir)
        if not self.workers:
            return host_evidence(*work)
        if self._pool is None:
            # A forked child of a process with running threads may hang: spawn.
            self._pool = ProcessPoolExecutor(self.workers, get_context('spawn'), _start)
        if len(self._queue) >= QUEUED_PER_WORKER * self.workers:  # full-size maps must not pile up
            self._queue.popleft().result()
        self._queue.append(self._pool.submit(host_evidence, *work))
        return self._queue[-1]

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the evidence of all ranks and score it."""
        self._wait()
        host: list[Evidence] = []
        for result in self.results:
            result['stats'] = {key: _to_array(value, host)
                               for key, value in result['stats'].items()}
        self._report(host)
        if self._pool is not None:  # its processes hold memory that training may need
            self._pool.shutdown()
            self._pool = None
            self._queue.clear()
        metrics = super().evaluate(size)  # ends on all ranks together
        if self.evidence_dir and is_main_process():
            forget(self.evidence_dir)
        return metrics

    def _report(self, host: Sequence[Evidence]) -> None:
        """Say what an evaluation before this one has saved, and what could not be kept."""
        logger = MMLogger.get_current_instance()
        found, problems = sum(e.found for e in host), [e.problem for e in host if e.problem]
        if found:
            logger.info(f'{found} of {len(host)} boundary maps had been matched by an evaluation '
                        f'that was interrupted: taken from {self.evidence_dir}')
        if problems:
            logger.warning(f'the evidence of {len(problems)} of {len(host)} maps could not be kept '
                           f'for the case of an interruption: {problems[0]}')

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
        if self.keep_statistics:
            self.image_statistics = unique
        ordered = [unique[image] for image in sorted(unique)]
        metrics: dict[str, float] = {}
        for field, prefix in METRIC_PREFIXES.items():
            primary_metrics = {}
            for name, task in self.tasks.items():
                rows = [stats[field, name] for stats in ordered if (field, name) in stats]
                if not rows:
                    continue
                stats = torch.from_numpy(np.stack(rows))
                scores = task.score(stats)
                primary_metrics[name] = scores[task.primary_metric]
                if self.per_class and not prefix:
                    scores |= task.class_scores(stats)
                metrics |= {f'{prefix}{name}/{key}': value for key, value in scores.items()}
            if self.single_task and len(primary_metrics) == len(self.tasks):
                metrics[f'{prefix}delta_m'] = delta_m(primary_metrics, self.single_task, self.tasks)
        return metrics


def _share_of_cores() -> int:
    cores = int(os.environ.get('SLURM_CPUS_PER_TASK') or os.cpu_count() or 1)
    ranks = int(os.environ.get('LOCAL_WORLD_SIZE', 1))  # torchrun's name; unset under srun
    return max(1, min(cores // ranks, 8))


def _start() -> None:
    start_worker()
    torch.set_num_threads(1)


def _to_array(value: Tensor | Evidence | Future[Evidence], host: list[Evidence]) -> np.ndarray:
    """An image's evidence as an array; what came from :func:`host_evidence` also joins a list."""
    if isinstance(value, Tensor):
        return value.cpu().numpy()
    host.append(value.result() if isinstance(value, Future) else value)
    return host[-1].stats
