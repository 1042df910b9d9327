"""What a training step holds in memory, counted without running it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mtpsl.models import MultiTaskModel

from .profiling.random_batch import random_batch

GIB = 2 ** 30


class TrainingMemory(NamedTuple):
    """Bytes that a training step needs at least.

    Attributes:
        weights: parameters and buffers.
        optimizer: gradients, and Adam's two means of each.
        kept: what the forward pass keeps for the backward pass.
    """

    weights: int
    optimizer: int
    kept: int

    def __str__(self) -> str:
        return (f'weights {self.weights / GIB:.2f} GiB, gradients and Adam '
                f'{self.optimizer / GIB:.2f}, kept for the backward pass {self.kept / GIB:.2f}; '
                f'{sum(self) / GIB:.2f} at least')


class _Attention(torch.autograd.Function):
    """Keeps what fused kernels keep; meta tensors would go through the explicit softmax."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        *outer, heads, length, _ = query.shape
        output = query.new_empty(*outer, length, heads, value.shape[-1]).transpose(-3, -2)
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1]))
        return output


class _FusedAttention(TorchFunctionMode):
    """Attention as the fused kernels do it, where these take it: without a mask."""

    def __torch_function__(self, func: Callable, types: tuple[type, ...], args: tuple = (),
                           kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        masked = len(args) > 3 and args[3] is not None or kwargs.get('attn_mask') is not None
        if func is F.scaled_dot_product_attention and not masked:
            named = dict(zip(('query', 'key', 'value'), args)) | kwargs
            return _Attention.apply(named['query'], named['key'], named['value'])
        return func(*args, **kwargs)


def training_memory(model: MultiTaskModel, batch: int, shape: tuple[int, int],
                    labels: str = 'one') -> TrainingMemory:
    """Count what is alive between the forward and the backward pass, in float32.

    Beside it a step needs what its single operations work with, which depends on the device. The
    model is moved to the meta device and is of no further use.

    Args:
        model: the model to be trained.
        batch: images of a step.
        shape: their H and W in pixels.
        labels: of an image, see :func:`~mtpsl.analysis.profiling.random_batch.draw_labelled`.
    """
    samples = random_batch(model.tasks, batch, shape, labels)['data_samples']
    model = model.to('meta')
    model.train()
    parameters = [value for value in model.parameters() if value.requires_grad]
    own = [value.untyped_storage() for value in (*model.parameters(), *model.buffers())]
    kept: dict[int, tuple[Tensor, int]] = {}  # by storage; the tensor keeps its number taken

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = tensor, storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _FusedAttention():
        losses = model(torch.empty(batch, 3, *shape, device='meta'),
                       [sample.to('meta') for sample in samples], mode='loss')
        graph = sum(losses.values())
    for storage in own:
        kept.pop(storage._cdata, None)
    del graph
    return TrainingMemory(sum(storage.nbytes() for storage in own),
                          3 * sum(value.nbytes for value in parameters),
                          sum(size for _, size in kept.values()))
