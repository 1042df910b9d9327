"""Logs the unreadable images that a dataset skips in training."""

from collections import Counter
from itertools import chain

from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mtpsl.registry import HOOKS
from mtpsl.structures import batch_leaves

TOTAL = 'skipped_samples'  # in the runner's message hub, so in its checkpoints


@HOOKS.register_module()
class SkippedSamplesHook(Hook):
    """Logs the images that a dataset with ``on_error='skip'`` skipped, and counts them.

    Data loader workers and other ranks cannot write to the log, so samples carry the messages. A
    warning names each file once, when it is first skipped. The total over all ranks since the
    training began, restored by ``--resume``, is logged after each epoch and is the entry
    ``skipped_samples`` of the message hub.

    Args:
        interval: iterations between exchanges of several ranks, at least 1; no exchange unless the
            dataset skips. A single process reports at once.
    """

    priority = 'NORMAL'  # before checkpoints are written

    def __init__(self, interval: int = 50) -> None:
        if not (isinstance(interval, int) and interval >= 1):
            raise ValueError(f'SkippedSamplesHook: interval must be an integer of at least 1, got '
                             f'{interval!r}')
        self.interval = interval
        self._active = False
        self._warned: set[str] = set()
        self._new: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Find out whether the dataset skips, and how often ranks have to exchange."""
        self._active = getattr(runner.train_dataloader.dataset, 'on_error', 'raise') == 'skip'
        # A checkpoint holds the total up to its iteration.
        self._intervals = [self.interval, *(
            hook.interval for hook in runner.hooks
            if isinstance(hook, CheckpointHook) and not hook.by_epoch and hook.interval > 0)]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Record the images skipped for this batch."""
        if not self._active:
            return
        self._new += chain.from_iterable(
            sample.get('skipped', ()) for sample in batch_leaves((data_batch or {})['data_samples'])
            if sample.get('view', 0) == 0)  # all views of a sample carry the same messages
        if get_world_size() == 1 or any(self.every_n_train_iters(runner, n)
                                        for n in self._intervals):
            self._report(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the number of skipped images."""
        if not self._active:
            return
        self._report(runner)
        total = runner.message_hub.get_info(TOTAL, 0)
        if total:
            runner.logger.info(f'{TOTAL}: {total} so far, of {len(self._warned)} unreadable images '
                               'met since the start or resume')

    def _report(self, runner: Runner) -> None:
        counts = Counter(chain.from_iterable(all_gather_object(self._new)))
        self._new = []
        if not counts:
            return
        total = runner.message_hub.get_info(TOTAL, 0) + sum(counts.values())
        runner.message_hub.update_info(TOTAL, total)
        for message in sorted(set(counts) - self._warned):
            runner.logger.warning(f'skipped, the next image in its place: {message}')
        self._warned |= set(counts)
