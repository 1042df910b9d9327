"""What the published implementation calls the tasks, in its label mappings and its checkpoints."""

# Theirs -> ours, in the order in which they concatenate the predictions of any dataset:
# semseg, parsing, saliency, normal, boundary (PASCAL); semseg, depth, normal (NYUD).
TASK_NAMES = dict(semseg='semseg', depth='depth', human_parts='parsing', sal='saliency',
                  normals='normal', edge='boundary')
