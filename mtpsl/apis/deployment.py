"""A trained model as one graph: image (and noise) in, the predictions of all tasks out.

Shapes: B images of H x W pixels; D draws of noise; h x w the maps that are diffused, K their
channels of all tasks together; C channels of a task's prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mtpsl.models import DiffusionMTL, MultiTaskModel
from mtpsl.tasks import Task

TOLERANCE = 1e-4  # largest difference to the eager model, in the unit of each prediction


class Deployed(nn.Module):
    """Normalisation, model and activations of a model without noise.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) uint8 RGB to each task's (B, C, H, W) float32, in the model's order."""
        inputs = self.normalise(image)
        return tuple(self.model.activate(self.model.logits(inputs)['pred'],
                                         inputs.shape[-2:]).values())

    def normalise(self, image: Tensor) -> Tensor:
        """As the model's data preprocessor does, which gets BGR."""
        preprocessor = self.model.data_preprocessor
        if not preprocessor.bgr_to_rgb:
            image = image.flip(1)
        return (image.float() - preprocessor.mean) / preprocessor.std

    def example(self, batch: int, size: Sequence[int], seed: int = 0) -> tuple[Tensor, ...]:
        """Random inputs in the order of :attr:`input_names`."""
        generator = torch.Generator().manual_seed(seed)
        return (torch.randint(0, 256, (batch, 3, *size), generator=generator, dtype=torch.uint8),)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the arguments of :meth:`forward`."""
        return ('image',)


class DeployedDiffusion(Deployed):
    """The same of a DiffusionMTL, whose noise is an input: standard normal draws, or zeros."""

    model: DiffusionMTL

    def forward(self, image: Tensor,  # type: ignore[override]  # one more input
                noise: Tensor) -> tuple[Tensor, ...]:
        """Also takes the noise, (B, D, K, h, w)."""
        inputs = self.normalise(image)
        _, source, condition = self.model.initial(inputs)
        *_, x_0 = self.model.diffusion.trajectory(source, condition, self.model.split_noise(noise))
        return tuple(self.model.activate(self.model.diffusion.project(x_0),
                                         inputs.shape[-2:]).values())

    def example(self, batch: int, size: Sequence[int], seed: int = 0) -> tuple[Tensor, ...]:
        image, = super().example(batch, size, seed)
        with torch.no_grad():
            initial, *_ = self.model.initial(self.normalise(image[:1]))
        maps = next(iter(initial.values())).shape[-2:]
        generator = torch.Generator().manual_seed(seed)
        return image, torch.randn(batch, *self.model.noise_shape(*maps), generator=generator)

    @property
    def input_names(self) -> tuple[str, ...]:
        return ('image', 'noise')


def deployed(model: MultiTaskModel) -> Deployed:
    """The module to export for a model in evaluation mode."""
    draws = isinstance(model, DiffusionMTL) and model.diffusion.schedule.num_noise_maps
    return (DeployedDiffusion(model) if draws else Deployed(model)).eval()


def export(module: Deployed, example: tuple[Tensor, ...], path: Path) -> None:
    """Write a graph for inputs of the example's shapes: ``.onnx``, else torch.export's ``.pt2``."""
    with torch.no_grad():
        if path.suffix == '.onnx':
            torch.onnx.export(module, example, str(path), dynamo=True, verbose=False,
                              external_data=False, input_names=module.input_names,
                              output_names=list(module.model.tasks))
        else:
            torch.export.save(torch.export.export(module, example), str(path))


def run_file(path: Path, inputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """The outputs of an exported file, by onnxruntime or torch."""
    if path.suffix == '.onnx':
        import onnxruntime  # not needed for anything else here
        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        names = [value.name for value in session.get_inputs()]
        return session.run(None, dict(zip(names, (value.numpy() for value in inputs))))
    with torch.no_grad():
        return [m.numpy() for m in torch.export.load(str(path)).module()(*inputs)]


def differences(module: Deployed, path: Path, inputs: tuple[Tensor, ...]) -> dict[str, float]:
    """Largest absolute difference of a file's outputs to the eager model's, by task."""
    with torch.no_grad():
        eager = module(*inputs)
    return {name: float(np.abs(ours.numpy() - theirs).max())
            for name, ours, theirs in zip(module.model.tasks, eager, run_file(path, inputs))}


def describe(module: Deployed, example: tuple[Tensor, ...]) -> dict:
    """What the inputs and outputs of the graph are, for who runs it without this package."""
    inputs: dict[str, dict] = {
        name: dict(shape=list(value.shape), type=str(value.dtype).removeprefix('torch.'))
        for name, value in zip(module.input_names, example)}
    inputs['image']['content'] = 'RGB, 0 to 255'
    if 'noise' in inputs:
        inputs['noise']['content'] = 'standard normal draws; zeros, their mean, give one answer'
        inputs['noise']['channels'] = dict(sorted(module.model.diffusion.map_channels.items()))
    with torch.no_grad():
        outputs = {name: dict(shape=list(value.shape), type='float32') | _content(task)
                   for (name, task), value in zip(module.model.tasks.items(), module(*example))}
    return dict(inputs=inputs, outputs=outputs)


def _content(task: Task) -> dict:
    summary = (type(task).__doc__ or '').strip().splitlines()[0]
    classes = getattr(task, 'class_names', None)
    return dict(content=summary) | (dict(classes=list(classes)) if classes else {})
