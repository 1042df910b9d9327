"""Panels of test images while a model is tested."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.registry import HOOKS
from mtpsl.structures import MultiTaskSample
from mtpsl.system.results_folder import ResultsFolder


@HOOKS.register_module()
class PanelHook(Hook):
    """Draws the picture panel of the first images of a validation or test run.

    Args:
        out_dir: folder for ``<img_id>.png`` in testing; None sends them to the visualizer's
            backends.
        num_images: panels at most of one run, on each rank; 0 draws none.
        in_validation: whether validation during training draws too (into the backends).
    """

    priority = 'NORMAL'

    def __init__(self, out_dir: str | None = None, num_images: int = 0,
                 in_validation: bool = False) -> None:
        self.out_dir = out_dir
        self.num_images = num_images
        self.in_validation = in_validation
        self._drawn = 0
        self._folder: ResultsFolder | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        self._drawn = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Refuse a folder with other pictures of the first images' names, before all the work.

        Raises:
            FileExistsError: one is there that no earlier test wrote.
        """
        self._drawn = 0
        if self.out_dir is None:
            return
        self._folder = ResultsFolder(self.out_dir, '--show-dir')
        dataset = runner.test_dataloader.dataset
        if hasattr(dataset, 'get_data_info'):
            infos = map(dataset.get_data_info,
                        range(min(self.num_images * runner.world_size, len(dataset))))
            self._folder.say_overwritten(self._folder.existing(
                [self._file(info['img_id']) for info in infos if 'img_id' in info]))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence[MultiTaskSample] | None = None) -> None:
        if self.in_validation:
            self._draw(runner, data_batch or {}, outputs or ())

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[MultiTaskSample] | None = None) -> None:
        self._draw(runner, data_batch or {}, outputs or (), self._folder)

    def _draw(self, runner: Runner, data_batch: dict, outputs: Sequence[MultiTaskSample],
              folder: ResultsFolder | None = None) -> None:
        left = self.num_images - self._drawn
        for bgr, sample in list(zip(data_batch['inputs'], outputs))[:max(left, 0)]:
            file = folder and self._file(sample.img_id)
            if folder and file:
                folder.existing([file])
                folder.add([file])
            image = bgr.cpu().numpy().transpose(1, 2, 0)[..., ::-1]
            runner.visualizer.add_datasample(
                f'panel/{sample.img_id}', image, sample, step=runner.iter,
                out_file=file and str(file))
            self._drawn += 1

    def _file(self, image_id: str) -> Path:
        return Path(self.out_dir or '', f'{image_id}.png')
