"""Draws a contact sheet of rendered scenes."""
from collections.abc import Sequence

import numpy as np

from .render import RenderedScene


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(255 * values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def panels(scene: RenderedScene) -> list[np.ndarray]:
    """Draw seven (H, W, 3) uint8 RGB pictures of a scene.

    In order: image, semantic classes, body parts, saliency, normals, instances with their
    boundaries in white, depth (near is bright).
    """
    # Imported here, since tasks import torch: workers load this module, but draw nothing.
    from mtpsl.tasks.categorical import bit_palette

    colours = bit_palette(64)
    instances = colours[1:][(7 * scene.instance) % 63] // 2 + 40
    edge = np.zeros(scene.instance.shape, dtype=bool)
    edge[:, 1:] |= scene.instance[:, 1:] != scene.instance[:, :-1]
    edge[1:] |= scene.instance[1:] != scene.instance[:-1]
    instances[edge] = 255
    near = scene.depth[scene.depth > 0].min() if (scene.depth > 0).any() else 1.0
    inverse = np.where(scene.depth > 0, near / np.maximum(scene.depth, near), 0)
    normal = np.rint((scene.normal + 1) / 2 * 255).astype(np.uint8)
    return [scene.image, colours[scene.semseg], colours[scene.parsing],
            _grey(scene.saliency), normal, instances, _grey(inverse)]


def contact_sheet(scenes: Sequence[RenderedScene]) -> np.ndarray:
    """Draw a row of :func:`panels` per scene.

    Args:
        scenes: At least one scene, all of one size (H, W).

    Returns:
        (len(scenes) * (H + 2), 7 * (W + 2), 3) uint8 RGB.
    """
    rows = [np.concatenate([np.pad(panel, ((0, 2), (0, 2), (0, 0))) for panel in panels(scene)],
                           axis=1) for scene in scenes]
    return np.concatenate(rows)
