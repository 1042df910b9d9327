"""Sources of noise: random in training, seeded by the image at test time.

Shapes: N_t pairs of task t, B images, D noise maps of a trajectory, maps of h x w.
"""

import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtpsl.models.to_device import moved


class NoiseSource:
    """Standard normal noise for the maps of each task.

    Training draws from PyTorch's global generator, which :class:`~mtpsl.engine.ReseedHook` seeds
    by seed, rank and iteration. At test time the id of each image seeds a generator, so an image
    always has the same noise, in any batch or worker. The channels are assigned to tasks in the
    order of their names: the order of a config does not matter.

    Args:
        num_maps: D; 0 draws none.
        channels: task name -> channels of its map.
        seed: changes the noise of test images.
        on_cpu: draw the noise of test images on the CPU for any device, and copy it.
    """

    def __init__(self, num_maps: int, channels: Mapping[str, int], seed: int = 0,
                 on_cpu: bool = False) -> None:
        self.num_maps, self.seed, self.on_cpu = num_maps, seed, on_cpu
        self.channels = dict(sorted(channels.items())) if num_maps else {}
        self._order = list(channels) if num_maps else []

    def for_training(self, rows: Mapping[str, Sequence[int]], size: Sequence[int],
                     device: torch.device) -> dict[str, Tensor] | None:
        """Draw noise for the labelled pairs, task -> (N_t, D, channels, h, w); None if D = 0."""
        if not self.num_maps:
            return None
        return {name: torch.randn(len(rows[name]), self.num_maps, self.channels[name], *size,
                                  device=device)
                for name in self._order if name in rows}

    def for_images(self, ids: Sequence[str], size: Sequence[int], device: torch.device,
                   sample: int = 0) -> dict[str, Tensor] | None:
        """Draw noise for whole images, task -> (B, D, channels, h, w); None if D = 0.

        Args:
            ids: ids of the images; each seeds its own noise.
            size: (h, w).
            device: device of the result; also of the generator unless ``on_cpu``.
            sample: index of one of several predictions of the images.
        """
        if not self.num_maps:
            return None
        source = torch.device('cpu') if self.on_cpu else device
        generator = torch.Generator(source)
        base = f'{self.seed}.{sample}' if sample else f'{self.seed}'
        noise = torch.stack([
            torch.randn(self.shape(*size), device=source, generator=generator.manual_seed(
                zlib.crc32(f'{base}/{image}'.encode())))
            for image in ids])
        return self.split(noise if source == device else moved(noise, device))

    def shape(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the shape of one image's noise: (D, channels of all maps together, h, w)."""
        return self.num_maps, sum(self.channels.values()), height, width

    def split(self, noise: Tensor) -> dict[str, Tensor]:
        """Split (B, D, channels of all maps, h, w) to (B, D, channels, h, w) by task."""
        return dict(zip(self.channels, noise.split(list(self.channels.values()), dim=2)))
