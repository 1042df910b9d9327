"""Names and sizes that command lines offer: here, so that ``--help`` loads none of their owners."""

PREDICTION_FORMATS = ('png', 'npy')
TABLE_FORMATS = ('md', 'tex', 'csv')
FIGURE_SUFFIXES = ('.pdf', '.svg', '.png')
COLUMN, PAGE = 3.25, 6.875  # widths in inches of a column and of the text of a two-column paper
MAX_SIDE = 1024  # pixels of a photo, whose objects are then no larger than those seen in training
SETTINGS = ('onelabel', 'randomlabels', 'full')  # of label mappings
PASCAL_TASKS = ('semseg', 'parsing', 'saliency', 'normal', 'boundary')
# Layout of synthetic scenes -> height and width of an image where none are asked for.
SCENE_SIZES = {'pascal': (128, 128), 'nyud': (96, 128), 'cityscapes': (64, 128)}
BENCHMARK_LABELS = ('one', 'random', 'all')  # tasks that a sample of a timed step is labelled for
