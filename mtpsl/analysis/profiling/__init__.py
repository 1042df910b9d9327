"""Measures the speed of procedures in turns, each in a process of its own."""

from .measure import Measurement, Setup, measure
from .speed_report import as_table, report

__all__ = ['Measurement', 'Setup', 'as_table', 'measure', 'report']
