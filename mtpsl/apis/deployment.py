"""Export a trained model as one graph: from image (and noise) to the predictions of all tasks.

Shapes: B images of H x W pixels; D noise maps; h x w size and K total channels of the diffused
maps of all tasks; C channels of a task's prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from torch import Tensor, nn

from mtpsl.datasets.transforms.contract import looks, moving
from mtpsl.engine.config.dataset_tree import named_leaves
from mtpsl.models import MultiTaskModel
from mtpsl.tasks import Task

TOLERANCE = 1e-4  # largest difference from the eager model, in the unit of each prediction


class Deployed(nn.Module):
    """Normalisation, model and activations; noise is an input if the model uses it.

    Args:
        model: the model, in evaluation mode.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, noise: Tensor | None = None) -> tuple[Tensor, ...]:
        """Predict from images and, if the model uses it, noise.

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
        """Normalise RGB images like the model's data preprocessor, which takes BGR."""
        preprocessor = self.model.data_preprocessor
        if not preprocessor.bgr_to_rgb:
            image = image.flip(1)
        return (image.float() - preprocessor.mean) / preprocessor.std

    def example(self, batch: int, size: Sequence[int], seed: int = 0) -> tuple[Tensor, ...]:
        """Return random inputs in the order of :attr:`input_names`, on the model's device."""
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
        """Return the argument names of :meth:`forward`."""
        return ('image', 'noise') if self.model.noise.num_maps else ('image',)


def export(module: Deployed, example: tuple[Tensor, ...], path: Path) -> None:
    """Export to ``.onnx``, or to torch.export's ``.pt2``, for inputs of the example's shapes.

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
    """Run an exported file with onnxruntime or torch and return its outputs."""
    if path.suffix == '.onnx':
        import onnxruntime  # optional; needed here only
        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        names = [value.name for value in session.get_inputs()]
        return session.run(None, dict(zip(names, (value.cpu().numpy() for value in inputs))))
    with torch.no_grad():
        return [m.cpu().numpy() for m in torch.export.load(str(path)).module()(*inputs)]


def differences(module: Deployed, path: Path, inputs: tuple[Tensor, ...]) -> dict[str, float]:
    """Return the largest absolute difference between a file and the eager model, by task."""
    with torch.no_grad():
        eager = module(*inputs)
    return {name: float(np.abs(ours.cpu().numpy() - theirs).max())
            for name, ours, theirs in zip(module.model.tasks, eager, run_file(path, inputs))}


def prepared_by(cfg: Config) -> str:
    """Describe what the test pipeline does to each image before the model; '' for nothing.

    An exported graph does not contain it.

    Args:
        cfg: a loaded config. Sets that are read differently are listed one by one.
    """
    told = {}
    for name, part in named_leaves((cfg.get('test_dataloader') or {}).get('dataset', {})):
        steps = Compose(list(part.get('pipeline', ()))).transforms
        told[name] = ', '.join((*looks(steps)[0].names, *moving(steps)))
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return '; '.join(f'{text or "nothing"} in {name}' for name, text in told.items())


def draws_of(model: MultiTaskModel) -> str:
    """Describe how a model averages over noise, which a graph does not; '' for one draw."""
    return '' if model.num_samples == 1 else (
        f'predictions of the model are means over num_samples={model.num_samples} draws: run the '
        'graph with as many and average')


def describe(module: Deployed, example: tuple[Tensor, ...], prepared: str = '') -> dict:
    """Describe the inputs and outputs of the graph, for use without this package.

    Args:
        module: the model.
        example: its inputs.
        prepared: see :func:`prepared_by`.
    """
    inputs: dict[str, dict] = {
        name: dict(shape=list(value.shape), type=str(value.dtype).removeprefix('torch.'))
        for name, value in zip(module.input_names, example)}
    inputs['image']['content'] = 'RGB, 0 to 255' + (f', after {prepared}' if prepared else '')
    if 'noise' in inputs:
        inputs['noise']['content'] = '; '.join(filter(None, (
            'standard normal draws', 'zeros, their mean, give one answer',
            draws_of(module.model))))
        inputs['noise']['channels'] = module.model.noise.channels
    with torch.no_grad():
        outputs = {name: dict(shape=list(value.shape), type='float32') | _content(task)
                   for (name, task), value in zip(module.model.tasks.items(), module(*example))}
    return dict(inputs=inputs, outputs=outputs)


def _content(task: Task) -> dict:
    summary = (type(task).__doc__ or '').strip().splitlines()[0]
    classes = getattr(task, 'class_names', None)
    return dict(content=summary) | (dict(classes=list(classes)) if classes else {})
