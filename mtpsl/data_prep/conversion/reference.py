"""Maps names of Feature Diffusion's weights to those of the published implementation.

Nothing here imports torch: a weight is anything with a shape.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mtpsl.data_prep.layouts import TASK_NAMES

THEIR_TASKS = {ours: theirs for theirs, ours in TASK_NAMES.items()}
# Their module -> ours; {task} is each side's name of a task, {n} the number of a block.
MODULES = {
    'backbone': 'backbone',
    'backbone_embed': 'neck.conv',
    'preliminary_dec.{task}': 'decoders.decode.{task}',
    'preliminary_head.{task}.0': 'decoders.predict.{task}',
    'diffusion_model.pred_combinator.out_layer': 'diffusion.condition.reduce',
    'diffusion_model.denoiser.pre_layer.{task}': 'diffusion.denoiser.embed.{task}',
    'diffusion_model.denoiser.t_embedder': 'diffusion.denoiser.step_embedding',
    # Their "kv" is the task embedding, which the condition attends to.
    'diffusion_model.denoiser.crossblocks.{n}.norm2_kv':
        'diffusion.denoiser.blocks.{n}.norm_embedding_ffn',
    'diffusion_model.denoiser.crossblocks.{n}.mlp_kv.fc1':
        'diffusion.denoiser.blocks.{n}.ffn_embedding.0',
    'diffusion_model.denoiser.crossblocks.{n}.mlp_kv.fc2':
        'diffusion.denoiser.blocks.{n}.ffn_embedding.2',
    'diffusion_model.denoiser.crossblocks.{n}.norm1': 'diffusion.denoiser.blocks.{n}.norm_query',
    'diffusion_model.denoiser.crossblocks.{n}.norm_kv':
        'diffusion.denoiser.blocks.{n}.norm_embedding',
    'diffusion_model.denoiser.crossblocks.{n}.attn': 'diffusion.denoiser.blocks.{n}.attention',
    'diffusion_model.denoiser.crossblocks.{n}.norm2': 'diffusion.denoiser.blocks.{n}.norm_ffn',
    'diffusion_model.denoiser.crossblocks.{n}.mlp.fc1': 'diffusion.denoiser.blocks.{n}.ffn.0',
    'diffusion_model.denoiser.crossblocks.{n}.mlp.fc2': 'diffusion.denoiser.blocks.{n}.ffn.2',
    'diffusion_model.denoiser.task_heads.{task}': 'diffusion.denoiser.heads.{task}',
    'diffusion_model.denoiser.final_task_heads.{task}.linear_pred': 'diffusion.final.{task}',
}


class Shaped(Protocol):
    """An array or tensor."""

    @property
    def shape(self) -> Sequence[int]:
        """The size along each axis."""


def reference_name(key: str) -> str | None:
    """Return their name of one of our weights; None if unknown."""
    for theirs, ours in MODULES.items():
        module = ours.replace('.', r'\.').format(task=r'(?P<task>\w+)', n=r'(?P<n>\d+)')
        match = re.fullmatch(module + r'(?P<leaf>\..+)', key)
        if match:
            bound = match.groupdict()
            if 'task' in bound:
                if bound['task'] not in THEIR_TASKS:
                    return None
                bound['task'] = THEIR_TASKS[bound['task']]
            return theirs.format_map(bound) + bound['leaf']
    return None


def is_schedule_buffer(key: str) -> bool:
    """Return whether one of their keys is a buffer of the noise schedule, which we compute."""
    return re.fullmatch(r'diffusion_model\.[^.]+', key) is not None


def check_model(names: Iterable[str], tasks: Sequence[str]) -> None:
    """Raise unless our model has the same weights as theirs.

    Args:
        names: names of the model's weights.
        tasks: tasks in the order in which the condition concatenates their predictions.

    Raises:
        ValueError: weights without a counterpart, or tasks in another order: the weights would
            fit, but apply to channels of other tasks.
    """
    foreign = [name for name in names if reference_name(name) is None]
    if foreign:
        raise ValueError('the published implementation has no counterpart of '
                         + _list(foreign, 'weights'))
    order = [name for name in TASK_NAMES.values() if name in tasks]
    if list(tasks) != order:
        raise ValueError('the published implementation concatenates the predictions in the order '
                         f'{", ".join(order)}; the order of the tasks is {", ".join(tasks)}')


def convert_weights(weights: Mapping[str, Shaped],
                    model: Mapping[str, Shaped]) -> tuple[dict[str, Shaped], list[str]]:
    """Rename their weights.

    Args:
        weights: their weights by name; all names may begin with ``module.``.
        model: weights of our model, which passes :func:`check_model`; only shapes are read.

    Returns:
        The weights by our names, in the model's order, and the dropped buffers.

    Raises:
        ValueError: unknown or missing names, or other shapes; the message lists them.
    """
    if all(key.startswith('module.') for key in weights):  # saved from a parallel wrapper
        weights = {key.removeprefix('module.'): value for key, value in weights.items()}
    dropped = [key for key in weights if is_schedule_buffer(key)]
    theirs = {name: key for name in model if (key := reference_name(name))}
    missing = [key for key in theirs.values() if key not in weights]
    known = {*dropped, *theirs.values()}
    unknown = [key for key in weights if key not in known]
    shapes = [f'{key} {tuple(weights[key].shape)} for {name} {tuple(model[name].shape)}'
              for name, key in theirs.items()
              if key in weights and tuple(weights[key].shape) != tuple(model[name].shape)]
    differences = [_list(names, title) for names, title in (
        (missing, 'weights are missing'), (unknown, 'are not of the model'),
        (shapes, 'are of another shape')) if names]
    if differences:
        raise ValueError('; '.join(differences))
    return {name: weights[key] for name, key in theirs.items()}, dropped


def _list(names: Sequence[str], title: str) -> str:
    """Format the number of names and all names."""
    return f'{len(names)} {title}: {", ".join(names)}'
