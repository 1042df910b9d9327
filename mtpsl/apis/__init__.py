"""Predict images and videos with a trained model."""

from .inferencer import MultiTaskInferencer
from .prediction import Prediction
from .video import Video, predict_video

__all__ = ['MultiTaskInferencer', 'Prediction', 'Video', 'predict_video']
