"""Evaluation: one metric for all tasks, Delta_m, result files and tables of them."""

from mtpsl.analysis.comparison import (
    FORMATS,
    beside_paper,
    compare,
    disagreements,
    find_baseline,
    read_baseline,
)
from mtpsl.analysis.results import group_by_method, paper_results, read_argument, read_results

from .delta_m import delta_m
from .multitask_metric import MultiTaskMetric
from .table import primary_metric_table

__all__ = ['FORMATS', 'MultiTaskMetric', 'beside_paper', 'compare', 'delta_m', 'disagreements',
           'find_baseline', 'group_by_method', 'primary_metric_table', 'paper_results', 'read_argument',
           'read_baseline', 'read_results']
