"""What the figures' commands read: work dirs as a run leaves them, checkpoints, result files."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

import mtpsl.engine
from mtpsl.registry import MODELS

Figures = Callable[[str, str], dict[str, float]]  # of a setting and a run's name, the metrics
CURVES = [dict(iter=1, loss_semseg=2.0), dict(iter=2, loss_semseg=1.0),
          {'step': 1, 'after': 2, 'semseg/mIoU': 3.0}]


def write_runs(figures: Figures) -> Callable[[Path, list[str]], None]:
    """Makes what is not there of the paths among a command's arguments."""
    def write(folder: Path, arguments: list[str]) -> None:
        for argument in arguments:
            for text in argument.rpartition('=')[2].split(','):
                config, _, checkpoint = text.rpartition(':')
                path = folder / checkpoint
                if path.exists() and path.is_file():
                    continue
                if path.suffix == '.json':
                    write_metrics(path, figures)
                elif path.suffix == '.pth':
                    write_weights(path, config or next(a for a in arguments if a.endswith('.py')))
                elif path.suffix == '.jpg':
                    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
                elif text.startswith('work_dirs/'):
                    write_work_dir(path, figures)
    return write


def write_metrics(path: Path, figures: Figures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    setting = path.parent.name.partition('_r18')[0]
    # Of a folder that names no setting.
    metrics = figures(setting if '_' in setting else 'cityscapes_onelabel', '')
    path.write_text(json.dumps(metrics | {f'initial/{key}': 0.9 * value
                                          for key, value in metrics.items()}))


def write_weights(path: Path, config: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    model = MODELS.build(mtpsl.engine.load_config(config).model)
    torch.save(model.state_dict(), path)


def write_work_dir(path: Path, figures: Figures) -> None:
    if (path / 'last_checkpoint').exists():
        return
    config = f'configs/{path.parent.name}/{path.name}.py'
    write_metrics(path / 'metrics.json', figures)
    mtpsl.engine.load_config(config).dump(str(path / Path(config).name))
    write_weights(path / 'epoch_1.pth', config)
    (path / 'last_checkpoint').write_text(str(path / 'epoch_1.pth'))
    (path / 'curves.json').write_text(''.join(json.dumps(record) + '\n' for record in CURVES))
