"""Leaves labels unread that a validation does not score."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.datasets.joint import JointDataset
from mtpsl.datasets.partial_label import PartialLabelDataset
from mtpsl.evaluation import MultiTaskMetric
from mtpsl.registry import HOOKS

from .panel_hook import PanelHook


@HOOKS.register_module()
class ScoredLabelsHook(Hook):
    """Tells the dataset of a validation which labels its metrics look at.

    All are read where a metric other than :class:`~mtpsl.evaluation.MultiTaskMetric` may want them,
    or panels show them. :func:`mtpsl.engine.build_runner` adds this hook to every runner.
    """

    def before_val(self, runner: Runner) -> None:
        """Leave the other labels unread, before any worker process starts."""
        dataset = runner.val_dataloader.dataset
        metrics = runner.val_evaluator.metrics
        shown = any(isinstance(hook, PanelHook) and hook.in_validation and hook.num_images
                    for hook in runner.hooks)
        if (not shown and isinstance(dataset, (PartialLabelDataset, JointDataset))
                and all(isinstance(metric, MultiTaskMetric) for metric in metrics)):
            dataset.read_only({name for metric in metrics for name in metric.scored})
