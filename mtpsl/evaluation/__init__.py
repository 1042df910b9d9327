"""Evaluation: one metric for all tasks, Delta_m, and tables of both."""

from .delta_m import delta_m
from .multitask_metric import MultiTaskMetric
from .table import primary_metric_table

__all__ = ['MultiTaskMetric', 'delta_m', 'primary_metric_table']
