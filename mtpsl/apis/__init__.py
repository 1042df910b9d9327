"""Predictions of a trained model for images."""

from .inferencer import MultiTaskInferencer
from .prediction import Prediction

__all__ = ['MultiTaskInferencer', 'Prediction']
