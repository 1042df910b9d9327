"""Draws panels of test images while a model is tested."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.registry import HOOKS
from mtpsl.structures import MultiTaskSample


@HOOKS.register_module()
class PanelHook(Hook):
    """Draws panels of the first images of a validation or test run.

    Args:
        out_dir: folder for ``<img_id>.png`` in testing; None sends them to the visualizer's
            backends.
        num_images: maximum number of panels per run and rank; 0 for none.
        in_validation: whether to draw in validation too (into the backends).
    """

    priority = 'NORMAL'

    def __init__(self, out_dir: str | None = None, num_images: int = 0,
                 in_validation: bool = False) -> None:
        self.out_dir = out_dir
        self.num_images = num_images
        self.in_validation = in_validation
        self._drawn = 0

    def before_val_epoch(self, runner: Runner) -> None:
        self._drawn = 0

    before_test_epoch = before_val_epoch

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence[MultiTaskSample] | None = None) -> None:
        if self.in_validation:
            self._draw(runner, data_batch or {}, outputs or (), None)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[MultiTaskSample] | None = None) -> None:
        self._draw(runner, data_batch or {}, outputs or (), self.out_dir)

    def _draw(self, runner: Runner, data_batch: dict, outputs: Sequence[MultiTaskSample],
              out_dir: str | None) -> None:
        left = self.num_images - self._drawn
        for bgr, sample in list(zip(data_batch['inputs'], outputs))[:max(left, 0)]:
            image = bgr.cpu().numpy().transpose(1, 2, 0)[..., ::-1]
            runner.visualizer.add_datasample(
                f'panel/{sample.img_id}', image, sample, step=runner.iter,
                out_file=out_dir and str(Path(out_dir, f'{sample.img_id}.png')))
            self._drawn += 1
