"""The visualizer: a sample as a panel of pictures."""

import re
from collections.abc import Mapping

import mmcv
import numpy as np
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer

from mtpsl.registry import VISUALIZERS
from mtpsl.structures import MultiTaskSample
from mtpsl.tasks import Task, build_tasks

from .panels import draw_panel
from .uncertainty import paint_spread

# Row title -> field of the sample.
STAGES = dict(truth='gt', initial='initial', noisy='noisy', denoised='pred')


@VISUALIZERS.register_module()
class MultiTaskVisualizer(Visualizer):
    """Draws a panel per image: input, and per task what the sample has of each stage.

    Truth, initial, noisy, each denoising step (``outputs`` of the model has 'steps'), denoised
    prediction, and its uncertainty (``num_samples`` of the model is above 1).

    Args:
        tasks: task name -> task or its config; each paints its own maps.
        name: see :class:`mmengine.visualization.Visualizer`.
        vis_backends: where pictures and scalars go.
        save_dir: folder of the backends.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], name: str = 'visualizer',
                 vis_backends: list[dict] | None = None, save_dir: str | None = None) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self.tasks = build_tasks(tasks)

    def panel(self, image: np.ndarray, sample: MultiTaskSample) -> np.ndarray:
        """The panel of a sample.

        Args:
            image: (H, W, 3) uint8 RGB.
            sample: with whichever of its fields it has.

        Returns:
            (H', W', 3) uint8 RGB.
        """
        stages = rows_of(sample)
        pictures = {}
        legends: dict[str, dict] = {name: {} for name in self.tasks}
        for title, field in stages.items():
            for name, label in self._label_form(field, getattr(sample, field)).items():
                pictures[title, name] = self.tasks[name].colorize(label)
                legends[name] |= self.tasks[name].legend(label)
        rows = list(stages)
        if 'spread' in sample:
            rows.append('uncertainty')
            for name, spread in sample.spread.items():
                pictures['uncertainty', name] = paint_spread(spread[0].cpu().numpy())
        return draw_panel(image, rows, list(self.tasks), pictures, legends,
                          sample.get('img_id', ''))

    def _label_form(self, field: str, maps: PixelData) -> dict[str, np.ndarray]:
        """(c, H, W) arrays by task in label form; predictions are decoded by their task."""
        names = [name for name in self.tasks if name in maps]
        return {name: (getattr(maps, name) if field == 'gt' else
                       self.tasks[name].decode(getattr(maps, name)[None])[0]).cpu().numpy()
                for name in names}

    def add_datasample(self, name: str, image: np.ndarray, data_sample: MultiTaskSample,
                       step: int = 0, out_file: str | None = None) -> None:
        """Draw a sample's panel to ``out_file``, else to the backends under ``name``."""
        panel = self.panel(image, data_sample)
        if out_file is not None:
            mmcv.imwrite(panel[..., ::-1], out_file)
        else:
            # A local backend makes no folders: it would drop a name with a slash silently.
            self.add_image(name.replace('/', '_'), panel, step)


def stage_title(field: str) -> str:
    """A stage's field as people read it: ``step2`` is step 2."""
    return field.replace('step', 'step ')


def rows_of(sample: MultiTaskSample) -> dict[str, str]:
    """Title -> field of the stages that a sample has, in the order in which they come about."""
    stages = {title: field for title, field in STAGES.items() if field in sample}
    steps = sorted((int(field[4:]) for field in sample.all_keys()
                    if re.fullmatch(r'step\d+', field)), reverse=True)
    final = stages.pop('denoised', None)
    stages |= {stage_title(f'step{s}'): f'step{s}' for s in steps}
    if final:  # a model without denoising has no initial predictions
        stages['denoised' if 'initial' in sample or steps else 'prediction'] = final
    return stages
