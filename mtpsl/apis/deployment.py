"""A trained model as one graph: image (and noise) in, the predictions of all tasks out.

Shapes: B images of H x W pixels; D draws of noise; h x w the maps that are diffused, K their
channels of all tasks together; C channels of a task's prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from torch import Tensor, nn

from mtpsl.datasets.transforms.contract import looks, zooms
from mtpsl.engine.config.dataset_tree import named_leaves
from mtpsl.models import MultiTaskModel
from mtpsl.tasks import Task

TOLERANCE = 1e-4  # largest difference to the eager model, in the unit of each prediction


class Deployed(nn.Module):
    """Normalisation, model and activations; noise, where the model takes it, is an input.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, noise: Tensor | None = None) -> tuple[Tensor, ...]:
        """Predict from images and, where the model takes it, noise.

        Args:
            image: (B, 3, H, W) uint8 RGB.
            noise: (B, D, K, h, w) standard normal values, or zeros.

        Returns:
            (B, C, H, W) float32 of each task, in the model's order.
        """
        inputs = self.normalise(image)
        logits = self.model.final_logits(inputs, noise)
        return tuple(self.model.activate(logits, inputs.shape[-2:]).values())

    def normalise(self, image: Tensor) -> Tensor:
        """As the model's data preprocessor does, which gets BGR."""
        preprocessor = self.model.data_preprocessor
        if not preprocessor.bgr_to_rgb:
            image = image.flip(1)
        return (image.float() - preprocessor.mean) / preprocessor.std

    def example(self, batch: int, size: Sequence[int], seed: int = 0) -> tuple[Tensor, ...]:
        """Random inputs in the order of :attr:`input_names`, on the model's device."""
        device = self.model.data_preprocessor.mean.device
        generator = torch.Generator().manual_seed(seed)
        image = torch.randint(0, 256, (batch, 3, *size), generator=generator, dtype=torch.uint8)
        if not self.model.noise.num_maps:
            return (image.to(device),)
        with torch.no_grad():
            logits = self.model.final_logits(self.normalise(image[:1].to(device)))
        shape = self.model.noise.shape(*next(iter(logits.values())).shape[-2:])
        generator.manual_seed(seed)
        return image.to(device), torch.randn(batch, *shape, generator=generator).to(device)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the arguments of :meth:`forward`."""
        return ('image', 'noise') if self.model.noise.num_maps else ('image',)


def export(module: Deployed, example: tuple[Tensor, ...], path: Path) -> None:
    """Write a graph for inputs of the example's shapes: ``.onnx``, else torch.export's ``.pt2``.

    A ``.pt2`` runs on the device of the model and the example.
    """
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
        return session.run(None, dict(zip(names, (value.cpu().numpy() for value in inputs))))
    with torch.no_grad():
        return [m.cpu().numpy() for m in torch.export.load(str(path)).module()(*inputs)]


def differences(module: Deployed, path: Path, inputs: tuple[Tensor, ...]) -> dict[str, float]:
    """Largest absolute difference of a file's outputs to the eager model's, by task."""
    with torch.no_grad():
        eager = module(*inputs)
    return {name: float(np.abs(ours.cpu().numpy() - theirs).max())
            for name, ours, theirs in zip(module.model.tasks, eager, run_file(path, inputs))}


def prepared_by(cfg: Config) -> str:
    """What the test pipeline makes of every image before a model, and no graph does; '' if nothing.

    Args:
        cfg: a loaded config; where its sets are read in different ways, each is told.
    """
    told = {}
    for name, part in named_leaves(cfg.get('test_dataloader', {}).get('dataset', {})):
        steps = Compose(list(part.get('pipeline', ()))).transforms
        found = [*looks(steps)[0].names, *(f'RandomScale by {low:g}' for low, high in zooms(steps)
                                           if low == high != 1)]
        told[name] = ', '.join(found)
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return '; '.join(f'{text or "nothing"} in {name}' for name, text in told.items())


def describe(module: Deployed, example: tuple[Tensor, ...], prepared: str = '') -> dict:
    """What the inputs and outputs of the graph are, for who runs it without this package.

    Args:
        module: the model.
        example: its inputs.
        prepared: what :func:`prepared_by` found.
    """
    inputs: dict[str, dict] = {
        name: dict(shape=list(value.shape), type=str(value.dtype).removeprefix('torch.'))
        for name, value in zip(module.input_names, example)}
    inputs['image']['content'] = 'RGB, 0 to 255' + (f', after {prepared}' if prepared else '')
    if 'noise' in inputs:
        inputs['noise']['content'] = 'standard normal draws; zeros, their mean, give one answer'
        inputs['noise']['channels'] = module.model.noise.channels
    with torch.no_grad():
        outputs = {name: dict(shape=list(value.shape), type='float32') | _content(task)
                   for (name, task), value in zip(module.model.tasks.items(), module(*example))}
    return dict(inputs=inputs, outputs=outputs)


def _content(task: Task) -> dict:
    summary = (type(task).__doc__ or '').strip().splitlines()[0]
    classes = getattr(task, 'class_names', None)
    return dict(content=summary) | (dict(classes=list(classes)) if classes else {})
