"""Names and sizes that command lines offer, kept apart so that ``--help`` imports nothing else."""

PREDICTION_FORMATS = ('png', 'npy')
TABLE_FORMATS = ('md', 'tex', 'csv')
FIGURE_SUFFIXES = ('.pdf', '.svg', '.png')
COLUMN, PAGE = 3.25, 6.875  # widths in inches of one column and of both in a two-column paper
MAX_SIDE = 1024  # longest side of a photo in pixels: objects are no larger than in training
SETTINGS = ('onelabel', 'randomlabels', 'full')  # of label mappings
PASCAL_TASKS = ('semseg', 'parsing', 'saliency', 'normal', 'boundary')
# Layout of synthetic scenes -> default height and width of an image.
SCENE_SIZES = {'pascal': (128, 128), 'nyud': (96, 128), 'cityscapes': (64, 128)}
BENCHMARK_LABELS = ('one', 'random', 'all')  # number of labelled tasks per sample of a timed step
