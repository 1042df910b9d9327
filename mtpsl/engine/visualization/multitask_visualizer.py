"""Draws samples as panels of pictures."""

from collections.abc import Mapping

import mmcv
import numpy as np
from mmengine.visualization import Visualizer

from mtpsl.registry import VISUALIZERS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import TRUTH, UNCERTAINTY, titles
from mtpsl.tasks import Task, build_tasks

from .panels import draw_panel, paint_uncertainty


@VISUALIZERS.register_module()
class MultiTaskVisualizer(Visualizer):
    """Draws a panel per image: the input, then a row per output and a column per task.

    Outputs are the truth, the initial and the noisy prediction, each denoising step (if
    ``outputs`` of the model has 'steps'), the denoised prediction, and its uncertainty (if
    ``num_samples`` of the model is above 1).

    Args:
        tasks: task name -> task or its config; each task colours its own maps.
        name: see :class:`mmengine.visualization.Visualizer`.
        vis_backends: backends that store pictures and scalars.
        save_dir: folder of the backends.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], name: str = 'visualizer',
                 vis_backends: list[dict] | None = None, save_dir: str | None = None) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self.tasks = build_tasks(tasks)

    def panel(self, image: np.ndarray, sample: MultiTaskSample) -> np.ndarray:
        """Draw the panel of a sample.

        Args:
            image: (H, W, 3) uint8 RGB.
            sample: any of its fields may be absent.

        Returns:
            (H', W', 3) uint8 RGB.
        """
        rows = titles(sample.keys())
        pictures = {}
        legends: dict[str, dict] = {name: {} for name in self.tasks}
        for title, output in rows.items():
            for name, label in label_form(sample, output, self.tasks).items():
                pictures[title, name] = self.tasks[name].colorize(label)
                legends[name] |= self.tasks[name].legend(label)
        if UNCERTAINTY in sample:
            rows[UNCERTAINTY] = UNCERTAINTY
            for name, deviation in sample.uncertainty.items():
                pictures[UNCERTAINTY, name] = paint_uncertainty(deviation[0].cpu().numpy())
        return draw_panel(image, list(rows), list(self.tasks), pictures, legends,
                          sample.get('img_id', ''))

    def add_datasample(self, name: str, image: np.ndarray, data_sample: MultiTaskSample,
                       step: int = 0, out_file: str | None = None) -> None:
        """Draw a sample's panel to ``out_file``, else to the backends under ``name``."""
        panel = self.panel(image, data_sample)
        if out_file is not None:
            mmcv.imwrite(panel[..., ::-1], out_file)
        else:
            # A local backend makes no folders, and would silently drop a name with a slash.
            self.add_image(name.replace('/', '_'), panel, step)


def label_form(sample: MultiTaskSample, output: str,
               tasks: Mapping[str, Task]) -> dict[str, np.ndarray]:
    """Decode a field of a sample to label form: task name -> (c, H, W), for tasks that it has.

    Args:
        sample: labels and predictions.
        output: the field; all but the truth are decoded by their tasks.
        tasks: task name -> task.
    """
    maps = getattr(sample, output)
    return {name: (getattr(maps, name) if output == TRUTH else
                   task.decode(getattr(maps, name)[None])[0]).cpu().numpy()
            for name, task in tasks.items() if name in maps}
