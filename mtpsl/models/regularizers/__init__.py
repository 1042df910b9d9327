"""Auxiliary training objectives on further views, added to the MTL baseline by config."""

from .base import Regularizer, View
from .jtr import JointTaskRegularization
from .ss import ViewConsistency
from .xtc import CrossTaskConsistency

__all__ = ['CrossTaskConsistency', 'JointTaskRegularization', 'Regularizer', 'View',
           'ViewConsistency']
