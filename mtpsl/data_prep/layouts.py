"""Layouts of datasets that readers and writers share; nothing here imports PyTorch.

Paths of the files of the NYUD and Cityscapes layouts: ``{split}`` stands for ``train`` or ``val``,
``{id}`` for the number of the image, from 0. All are ``.npy``: images (H, W, 3) RGB in [0, 1];
class ids (H, W), -1 unknown; depth or inverse depth (H, W, 1), 0 unknown; normals (H, W, 3), the
zero vector unknown.
"""

IMAGE = '{split}/image/{id}.npy'
NYUD = dict(semseg='{split}/label/{id}.npy', depth='{split}/depth/{id}.npy',
            normal='{split}/normal/{id}.npy')
CITYSCAPES = dict(semseg='{split}/label_7/{id}.npy', depth='{split}/depth/{id}.npy')
# Names of the class ids of ``semseg``; the configs of the datasets repeat them.
NYUD_CLASSES = ('bed', 'books', 'ceiling', 'chair', 'floor', 'furniture', 'objects', 'picture',
                'sofa', 'table', 'tv', 'wall', 'window')
CITYSCAPES_CLASSES = ('flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle')
SPLITS = ('train', 'val')
# The published implementation's names of tasks, in its label mappings and checkpoints. Theirs ->
# ours, in the order in which they concatenate predictions: semseg, parsing, saliency, normal,
# boundary (PASCAL); semseg, depth, normal (NYUD).
TASK_NAMES = dict(semseg='semseg', depth='depth', human_parts='parsing', sal='saliency',
                  normals='normal', edge='boundary')
# Body part -> the names of its annotated pieces in ``human_parts``, on both sides of the body.
PART_PIECES = {1: ('head', 'hair', 'lear', 'rear', 'lebrow', 'rebrow', 'leye', 'reye', 'mouth',
                   'nose'),
               2: ('torso', 'neck'), 3: ('luarm', 'ruarm'), 4: ('llarm', 'rlarm', 'lhand', 'rhand'),
               5: ('luleg', 'ruleg'), 6: ('llleg', 'rlleg', 'lfoot', 'rfoot')}
# PASCAL-Context classes on which the distilled normals are used.
NORMAL_CLASSES = (
    3, 4, 6, 9, 10, 11, 13, 15, 17, 18, 22, 23, 29, 30, 33, 34, 36, 37, 38, 39, 41, 43, 46, 49, 50,
    51, 53, 55, 56, 59, 61, 62, 65, 66, 68, 69, 72, 73, 78, 83, 84, 85, 87, 88, 95, 96, 101, 104,
    105, 107, 111, 113, 115, 122, 124, 135, 141, 142, 143, 146, 150, 154, 157, 158, 159, 165, 172,
    174, 181, 183, 184, 191, 193, 195, 197, 199, 202, 213, 215, 216, 219, 220, 223, 225, 228, 230,
    232, 233, 238, 239, 242, 243, 246, 250, 251, 252, 255, 260, 261, 263, 269, 272, 273, 275, 281,
    283, 284, 285, 286, 287, 288, 290, 291, 292, 293, 295, 304, 307, 309, 310, 314, 315, 319, 323,
    329, 330, 331, 336, 342, 345, 349, 350, 351, 352, 355, 357, 368, 370, 371, 374, 379, 380, 383,
    384, 397, 401, 403, 405, 407, 408, 411, 412, 413, 414, 417, 419, 421, 423, 427, 429, 430, 432,
    440, 441, 442, 443, 444, 446, 454, 457)
