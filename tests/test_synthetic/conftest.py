"""Small datasets of every layout, and which files they have."""
from pathlib import Path

import pytest

from mtpsl.data_prep.synthetic import write_scenes

SIZE = (32, 40)
LAYOUTS = ('pascal', 'nyud', 'cityscapes')
every_layout = pytest.mark.parametrize('layout', LAYOUTS)
array_layout = pytest.mark.parametrize('layout', LAYOUTS[1:])

# Files of the first training scene, the first of them its image.
FIRST = {
    'pascal': ('JPEGImages/synthetic_000001.jpg', 'semseg/VOC12/synthetic_000001.png',
               'pascal-context/trainval/synthetic_000001.mat', 'human_parts/synthetic_000001.mat',
               'normals_distill/synthetic_000001.png', 'sal_distill/synthetic_000001.png'),
    'nyud': ('train/image/0.npy', 'train/label/0.npy', 'train/depth/0.npy', 'train/normal/0.npy'),
    'cityscapes': ('train/image/0.npy', 'train/label_7/0.npy', 'train/depth/0.npy'),
}
# A file of the second training scene, and one of the first validation scene.
SECOND = {'pascal': 'human_parts/synthetic_000002.mat', 'nyud': 'train/normal/1.npy',
          'cityscapes': 'train/depth/1.npy'}
VAL = {'pascal': 'JPEGImages/synthetic_500001.jpg', 'nyud': 'val/image/0.npy',
       'cityscapes': 'val/label_7/0.npy'}


def write(root: Path, train: int = 2, val: int = 1, seed: int = 1,
          layout: str = 'pascal') -> int:
    return write_scenes(root, layout, train, val, *SIZE, seed, workers=1)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


def put(root: Path, names: tuple[str, ...] | list[str]) -> dict[str, bytes]:
    """Write files that are someone's own; what ``contents`` says of them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'precious')
    return dict.fromkeys(names, b'precious')
