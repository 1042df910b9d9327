"""Config files of a user."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PASCAL = str(ROOT / 'configs/diffusionmtl/pascal_onelabel_r18.py')
# Of ImageNet, RGB.
COLOURS = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), bgr_to_rgb=True)


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / 'config.py'
    path.write_text(f'_base_ = {PASCAL!r}\n{text}')
    return str(path)
