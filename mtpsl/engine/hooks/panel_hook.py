"""Draws panels of test images while a model is tested."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpsl.engine.visualization.multitask_visualizer import MultiTaskVisualizer
from mtpsl.registry import HOOKS
from mtpsl.structures import MultiTaskSample
from mtpsl.system.results_folder import ResultsFolder, refuse_among


@HOOKS.register_module()
class PanelHook(Hook):
    """Draws panels of the first images of a validation or test run.

    Args:
        out_dir: folder for ``<img_id>.png`` in testing; None sends them to the visualizer's
            backends.
        num_images: maximum number of panels per run and rank, of each set of a ``JointDataset``; 0
            for none.
        in_validation: whether to draw in validation too (into the backends).

    Raises:
        ValueError: there are panels to draw, and the visualizer cannot.
    """

    priority = 'NORMAL'

    def __init__(self, out_dir: str | None = None, num_images: int = 0,
                 in_validation: bool = False) -> None:
        self.out_dir = out_dir
        self.num_images = num_images
        self.in_validation = in_validation
        self._drawn: Counter[str] = Counter()
        self._folder: ResultsFolder | None = None

    def before_train(self, runner: Runner) -> None:
        if self.in_validation:
            self._check_visualizer(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        self._drawn.clear()

    def before_test_epoch(self, runner: Runner) -> None:
        """Refuse a folder with other pictures of the first images' names, before all the work.

        Raises:
            FileExistsError: one is there that no earlier test wrote.
        """
        self._drawn.clear()
        self._check_visualizer(runner)
        if self.out_dir is None:
            return
        self._folder = ResultsFolder(self.out_dir, '--show-dir')
        dataset = runner.test_dataloader.dataset
        if hasattr(dataset, 'get_data_info'):
            files: dict[str, list[Path]] = {}  # by set
            infos = [dataset.get_data_info(number) for number in range(len(dataset))]
            refuse_among([info['img_path'] for info in infos if info.get('img_path')],
                         self.out_dir, '--show-dir')
            for info in infos:
                if 'img_id' in info:
                    files.setdefault(info.get('dataset', ''), []).append(
                        self._file(info['img_id']))
            self._folder.say_overwritten(self._folder.existing(
                [file for own in files.values()
                 for file in own[:self.num_images * runner.world_size]]))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence[MultiTaskSample] | None = None) -> None:
        if self.in_validation:
            self._draw(runner, data_batch or {}, outputs or ())

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence[MultiTaskSample] | None = None) -> None:
        self._draw(runner, data_batch or {}, outputs or (), self._folder)

    def _draw(self, runner: Runner, data_batch: dict, outputs: Sequence[MultiTaskSample],
              folder: ResultsFolder | None = None) -> None:
        for bgr, sample in zip(data_batch['inputs'], outputs):
            dataset = sample.get('dataset', '')
            if self._drawn[dataset] >= self.num_images:
                continue
            file = folder and self._file(sample.img_id)
            if folder and file:
                folder.existing([file])
                folder.add([file])
            image = bgr.cpu().numpy().transpose(1, 2, 0)[..., ::-1]
            runner.visualizer.add_datasample(
                f'panel/{sample.img_id}', image, sample, step=runner.iter,
                out_file=file and str(file))
            self._drawn[dataset] += 1

    def _check_visualizer(self, runner: Runner) -> None:
        if self.num_images and not isinstance(runner.visualizer, MultiTaskVisualizer):
            raise ValueError(
                'panels (--show-dir, default_hooks.panels) are drawn by '
                "visualizer.type='MultiTaskVisualizer' or a class of it, got "
                f'{type(runner.visualizer).__name__}')

    def _file(self, image_id: str) -> Path:
        return Path(self.out_dir or '', f'{image_id}.png')
