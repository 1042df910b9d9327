"""Where the files of the NYUD and Cityscapes layouts lie: one owner for readers and writers.

``{split}`` stands for ``train`` or ``val``, ``{id}`` for the number of the image, from 0. All are
``.npy``: images (H, W, 3) RGB in [0, 1]; class ids (H, W), -1 unknown; depth or inverse depth
(H, W, 1), 0 unknown; normals (H, W, 3), the zero vector unknown.
"""

IMAGE = '{split}/image/{id}.npy'
NYUD = dict(semseg='{split}/label/{id}.npy', depth='{split}/depth/{id}.npy',
            normal='{split}/normal/{id}.npy')
CITYSCAPES = dict(semseg='{split}/label_7/{id}.npy', depth='{split}/depth/{id}.npy')
# What the class ids of ``semseg`` mean; the configs of the datasets repeat them.
NYUD_CLASSES = ('bed', 'books', 'ceiling', 'chair', 'floor', 'furniture', 'objects', 'picture',
                'sofa', 'table', 'tv', 'wall', 'window')
CITYSCAPES_CLASSES = ('flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle')
SPLITS = ('train', 'val')
# What the published implementation calls the tasks, in its label mappings and checkpoints.
# Theirs -> ours, in the order in which they concatenate the predictions of any dataset:
# semseg, parsing, saliency, normal, boundary (PASCAL); semseg, depth, normal (NYUD).
TASK_NAMES = dict(semseg='semseg', depth='depth', human_parts='parsing', sal='saliency',
                  normals='normal', edge='boundary')
