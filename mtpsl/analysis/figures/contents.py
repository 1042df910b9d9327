"""The public names of :mod:`mtpsl.analysis.figures`, imported lazily."""

from .browse import LoaderPreview, draw_views
from .curve_figures import draw_curves, read_named, read_run
from .gains import draw_gains, read_gains, tell_other_ways
from .image_predictions import ImagePredictions, TrainedModel, choose_images
from .method_grid import draw_stages, merge_methods
from .pictures import PictureRow, draw_pictures
from .steps import draw_steps, read_step_row
from .style import paper_style, save_figure

__all__ = ['ImagePredictions', 'LoaderPreview', 'PictureRow', 'TrainedModel', 'choose_images',
           'draw_curves', 'draw_gains', 'draw_pictures', 'draw_stages', 'draw_steps', 'draw_views',
           'merge_methods', 'paper_style', 'read_gains', 'read_named', 'read_run', 'read_step_row',
           'save_figure', 'tell_other_ways']
