"""Load a model for prediction from a config and weights."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mtpsl.engine.checkpoints.content import check_whole
from mtpsl.engine.checkpoints.fits import check_checkpoint
from mtpsl.engine.checkpoints.resume import check_meaning, other_settings
from mtpsl.engine.checkpoints.trained_images import other_images
from mtpsl.engine.checks.checkpoint_doubts import code_doubt
from mtpsl.engine.config.dataset_tree import leaves
from mtpsl.engine.config.load import check_unchanged, load_config, require
from mtpsl.engine.config.model_index import find_weights
from mtpsl.models import MultiTaskModel
from mtpsl.registry import MODELS
from mtpsl.system.files import user_path

# Pipeline steps that do not change the image.
NOT_OF_THE_IMAGE = ('LoadLabels', 'PackMultiTaskInputs')


def find_model(model: str | Path | Config, weights: str | Path | None = None,
               cfg_options: Mapping[str, object] | None = None,
               ) -> tuple[Config, str | Path | None]:
    """Find a model's config and weights; arguments: see ``load_model``."""
    if not isinstance(model, Config):
        return load_config(str(model), cfg_options), weights or find_weights(str(model))
    if cfg_options:
        raise ValueError('cfg_options are for the path or name of a config; a loaded one has had '
                         f'those of load_config(path, options), got {dict(cfg_options)}')
    check_unchanged(model)
    return model, weights


def pipeline_of(cfg: Config) -> Sequence[dict]:
    """Return the transforms of a config's test data; empty if it has no test data.

    Raises:
        ValueError: several datasets read images differently.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    pipelines = [leaf.get('pipeline', ()) for leaf in leaves(dataset)]
    reading = [[step for step in pipeline
                if str(step.get('type')).rpartition('.')[2] not in NOT_OF_THE_IMAGE]
               for pipeline in pipelines]
    if any(steps != reading[0] for steps in reading):
        raise ValueError('the sets of test_dataloader.dataset read images differently, so it is '
                         'not known how to read an image of another set: give their pipelines '
                         f'the same transforms except {" and ".join(NOT_OF_THE_IMAGE)}')
    return pipelines[0]


def load_model(model: str | Path | Config, weights: str | Path | None = None,
               device: str | None = None,
               cfg_options: Mapping[str, object] | None = None) -> MultiTaskModel:
    """Build a config's model, with its weights, for prediction.

    Args:
        model: path of a config, its name (:func:`mtpsl.engine.config.model_index.find_config`), or
            a config returned by :func:`mtpsl.engine.load_config`.
        weights: path or URL of a checkpoint; None takes the one in ``model-index.yml``.
        device: such as ``'cuda:1'`` or ``'cpu'``; None is the GPU if there is one.
        cfg_options: overrides by dotted keys, if ``model`` is a path or name.

    Returns:
        The model in evaluation mode.

    Warns:
        UserWarning: there are no weights, or they were trained with other settings of the model,
            or on images of other colours or another size than the config's.

    Raises:
        FileNotFoundError: there is no such config or checkpoint.
        ValueError: there is no such device, or the checkpoint is damaged, of another model, or its
            weights have another meaning
            (:func:`mtpsl.engine.checkpoints.resume.check_meaning`).
    """
    target = _device(device or get_device())
    # The config's custom_imports may register components in other scopes.
    init_default_scope('mtpsl')
    cfg, weights = find_model(model, weights, cfg_options)
    require(cfg, 'model')
    built = MODELS.build(cfg.model)  # only init_weights would load pretrained weights
    if weights is None:
        warnings.warn('no weights were given and model-index.yml has none for this model: it is '
                      'untrained, and its predictions mean nothing', stacklevel=3)
    else:
        if '://' not in str(weights):
            weights = user_path(weights)
            check_whole(weights)
            check_checkpoint(weights, built)
            check_meaning(weights, cfg)
            for told in (other_settings(weights, cfg), other_images(weights, cfg, 'test'),
                         code_doubt(weights, cfg)):
                if told:
                    warnings.warn(told, stacklevel=3)
        load_checkpoint(built, weights, map_location='cpu', strict=True, logger='silent')
    return built.to(target).eval()


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be such as 'cpu' or 'cuda:1', got {name!r}") from None
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'device {name!r}: PyTorch finds no GPU')
    return device
