"""The synthetic benchmark: its methods, the record of its runs, its report and curves."""

from .curves import draw_stage_curves
from .methods import BASELINE, METHODS, TASKS, config_options
from .record import Record, Run
from .report import Ordering, orderings, plot, result_set, stage_table, write_report

__all__ = ['BASELINE', 'METHODS', 'TASKS', 'Ordering', 'Record', 'Run', 'config_options',
           'draw_stage_curves', 'orderings', 'plot', 'result_set', 'stage_table', 'write_report']
