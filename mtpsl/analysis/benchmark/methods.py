"""The methods of the synthetic benchmark and the sizes of their models."""

from pathlib import Path

BASELINE = 'Single-Task'
# Row of the table -> its config below configs/synthetic.
METHODS = {
    BASELINE: 'single_task_{setting}_{task}',
    'MTL Baseline': 'mtl_baseline_{setting}',
    'SS': 'ss_{setting}',
    'XTC': 'xtc_{setting}',
    'JTR': 'jtr_{setting}',
    'HiTTs': 'hitts_{setting}_stage2',
    'DiffusionMTL (Prediction)': 'diffusionmtl_{setting}',
    'DiffusionMTL (Feature)': 'diffusionmtl_{setting}_feature',
    'DiffusionMTL (Prediction, residual)': 'diffusionmtl_{setting}_residual',
    'DiffusionMTL (Feature, residual)': 'diffusionmtl_{setting}_feature_residual',
    'MTL Baseline + residual denoising': 'diffusionmtl_{setting}_residual_deep',
    'MTL Baseline + residual refinement': 'diffusionmtl_{setting}_residual_deep_wo-diffusion',
    'w/o Diffusion': 'diffusionmtl_{setting}_wo-diffusion',
    'w/o Multi-Task Cond': 'diffusionmtl_{setting}_wo-cond',
    'one step': 'diffusionmtl_{setting}_steps1',
}
# Pairs of methods of which the first should have the higher Delta_m: as in the paper, ...
PAPER_ORDERINGS = {
    'diffusion over baseline (Prediction)': ('DiffusionMTL (Prediction)', 'MTL Baseline'),
    'diffusion over baseline (Feature)': ('DiffusionMTL (Feature)', 'MTL Baseline'),
    'diffusion over plain refinement': ('DiffusionMTL (Prediction)', 'w/o Diffusion'),
    'conditioning helps': ('DiffusionMTL (Prediction)', 'w/o Multi-Task Cond'),
    'both steps over one': ('DiffusionMTL (Prediction)', 'one step'),
    'XTC over baseline': ('XTC', 'MTL Baseline'),
}
# ... and for the residual step.
RESIDUAL_ORDERINGS = {
    'residual over published (Prediction)': (
        'DiffusionMTL (Prediction, residual)', 'DiffusionMTL (Prediction)'),
    'residual over published (Feature)': (
        'DiffusionMTL (Feature, residual)', 'DiffusionMTL (Feature)'),
    'residual diffusion over baseline (Prediction)': (
        'DiffusionMTL (Prediction, residual)', 'MTL Baseline'),
    'residual diffusion over baseline (Feature)': (
        'DiffusionMTL (Feature, residual)', 'MTL Baseline'),
    "residual denoising on the baseline's decoders": (
        'MTL Baseline + residual denoising', 'MTL Baseline'),
    "residual denoising over plain refinement, the baseline's decoders": (
        'MTL Baseline + residual denoising', 'MTL Baseline + residual refinement'),
}


STAGE_2 = '_stage2'  # ends the name of a config whose teacher is trained by the one without


def teacher_of(config: str) -> str | None:
    """The config that trains a config's teacher; None where it has none."""
    return config.removesuffix(STAGE_2) if config.endswith(STAGE_2) else None


def config_options(config: str, data: Path, *, size: int, channels: int, batch: int, epochs: int,
                   workers: int, seed: int, validations: int = 0) -> list[str]:
    """Return the ``--cfg-options`` that give a synthetic config the benchmark's sizes.

    Args:
        config: file below ``configs/synthetic``, without suffix.
        data: folder of the scenes.
        size: side of the square training crops in pixels.
        channels: C of the neck, the decoders and the denoiser, and of the backbone's first stage.
        batch: images per training step.
        epochs: length of the training, over which the learning rate decays.
        workers: data loading processes.
        seed: seed of the run.
        validations: number of evenly spaced validations during training; 0 for none.
    """
    stages = tuple(channels * factor for factor in (1, 2, 4, 8))
    interval = max(epochs // validations, 1) if validations else epochs + 1
    options = {
        'data_preprocessor.size': (size, size), 'randomness.seed': seed,
        'train_dataloader.batch_size': batch,
        'train_dataloader.dataset.pipeline.3.size': (size, size),  # of RandomCrop
        'train_cfg.max_epochs': epochs, 'train_cfg.val_interval': interval,
        'train_cfg.val_begin': interval,
        'model.backbone.stem_channels': channels, 'model.backbone.base_channels': channels,
        'model.decoder.channels': channels,
        'default_hooks.checkpoint.interval': max(epochs // 6, 1),
        'default_hooks.logger.interval': 50, 'val_evaluator.workers': 0,
        'test_evaluator.workers': 0}
    for split in ('train', 'val', 'test'):
        options |= {f'{split}_dataloader.dataset.data_root': data,
                    f'{split}_dataloader.num_workers': workers,
                    f'{split}_dataloader.persistent_workers': workers > 0}
    if config.startswith('hitts'):
        options |= {'model.decoder.in_channels': stages, 'model.decoder.head_channels': channels}
    else:
        options |= {'model.neck.in_channels': stages, 'model.neck.out_channels': channels}
    if config.startswith('diffusionmtl'):
        options['model.diffusion.channels'] = channels
    if config.startswith(('xtc', 'jtr')):
        options['model.regularizer.channels'] = (channels // 2, *stages)
    options['param_scheduler.0.end'] = epochs
    if config.startswith('xtc'):
        options['param_scheduler.1.step_size'] = max(epochs // 3, 1)
    return [f'{key}={str(value).replace(" ", "")}' for key, value in options.items()]
