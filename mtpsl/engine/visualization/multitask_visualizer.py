"""The visualizer: a sample as a panel of pictures."""

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
            # A local backend makes no folders: it would drop a name with a slash silently.
            self.add_image(name.replace('/', '_'), panel, step)


def label_form(sample: MultiTaskSample, output: str,
               tasks: Mapping[str, Task]) -> dict[str, np.ndarray]:
    """One field of a sample in label form: task name -> (c, H, W), of the tasks that it has.

    Args:
        sample: labels and predictions.
        output: the field; all but the truth are decoded by their tasks.
        tasks: task name -> task.
    """
    maps = getattr(sample, output)
    return {name: (getattr(maps, name) if output == TRUTH else
                   task.decode(getattr(maps, name)[None])[0]).cpu().numpy()
            for name, task in tasks.items() if name in maps}
