"""SS: semi-supervised consistency of the unlabelled tasks over two views (arXiv:2111.14893)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpsl.models.to_device import labelled_index, resize, upload
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import shared_loss
from mtpsl.tasks import Task
from mtpsl.tasks.auxiliary import AGREEMENT, CONFIDENCE, per_sample

from .base import Regularizer, View


@MODELS.register_module()
class ViewConsistency(Regularizer):
    """Train unlabelled tasks on view 1 with confident predictions on view 0 as pseudo-labels.

    View 1 is a :class:`~mtpsl.datasets.transforms.RandomScaleCrop` of view 0. The detached
    prediction on view 0 is warped to view 1, with its values (depth shrinks with a zoom).
    ``Task.pseudo_label`` selects the reliable pixels, and the task's own loss is averaged over all
    pixels of the view:

        L = weight / B sum_i sum_{t not in L_i} w_t (kept pixels / pixels) l_t(view 1, pseudo-label)

    The paper compares with SS but gives no formulas. For semseg and depth the loss follows the
    published code, with its thresholds; for other tasks it is our analogy. The weight is not
    published; 1 is our choice.

    Args:
        tasks: task name -> task.
        weight: factor on the loss, >= 0.
        confidence: probability above which a class, or 0 or 1, is reliable; in [0, 1).
        agreement: difference between the views (metres, 1 - cosine) below which values are
            reliable; > 0.

    Raises:
        ValueError: an argument is out of range; in ``forward``, views of another geometry.
    """

    num_views = 2
    of_unlabelled = True

    def __init__(self, tasks: Mapping[str, Task], weight: float = 1.0,
                 confidence: float = CONFIDENCE, agreement: float = AGREEMENT) -> None:
        super().__init__(tasks)
        if not (weight >= 0 and 0 <= confidence < 1 and agreement > 0):
            raise ValueError('ViewConsistency: weight must be >= 0, confidence in [0, 1) and '
                             f'agreement > 0, got {weight}, {confidence} and {agreement}')
        self.weight = weight
        self.confidence, self.agreement = confidence, agreement

    def forward(self, views: Sequence[View],
                rows: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Return ``loss_consistency`` of the two views, see :class:`Regularizer`."""
        teacher, student = views
        self._check_zooms(views)
        samples = len(student.samples)
        device = student.feature.device
        grid, inside, scale = zoom_grid(student.samples, student.size, device)
        unlabelled = {name: rest for name in self.tasks
                      if (rest := sorted(set(range(samples)) - set(rows[name])))}
        total = student.feature.new_zeros(())
        for name, index in labelled_index(unlabelled, device).items():
            task = self.tasks[name]
            logits = resize(student.logits[name][index].float(), student.size)
            with torch.no_grad():
                moved = F.grid_sample(teacher.logits[name][index].float(), grid[index],
                                      padding_mode='border', align_corners=False)
                label = task.pseudo_label(task.rescale(task.activate(moved), scale[index]),
                                          task.activate(logits), self.confidence, self.agreement)
                label = torch.where(inside[index], label, task.ignore_value).to(label.dtype)
                kept = task.valid(label).flatten(1).sum(1) / inside[index].flatten(1).sum(1)
            loss = per_sample(task.loss(logits, label), len(label), f'loss of the task {name}')
            total = total + task.loss_weight * (kept * loss).sum()
        return {shared_loss('consistency'): self.weight / samples * total}

    def _check_zooms(self, views: Sequence[View]) -> None:
        for number, view in enumerate(views):
            for sample in view.samples:
                zoom, (height, width) = sample.zoom, sample.img_shape
                if zoom is None or (number == 0 and zoom != (0, height, 0, width, 1)):
                    raise ValueError(
                        'ViewConsistency compares view 0, which must not change the geometry, with '
                        'view 1, at most one RandomScaleCrop of it; MultiView made others in view '
                        f'{number} of {sample.get("img_path")}. What moves both alike, such as a '
                        'transform of your own, belongs before MultiView')


def zoom_grid(samples: Sequence[MultiTaskSample], size: tuple[int, int],
              device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Compute where each pixel of a zoomed view lies in the original view.

    Pixels are areas, as in OpenCV's resize. Both views have the same size and padding.

    Args:
        samples: N samples with ``zoom`` (top, bottom, left, right, scale), ``img_shape`` and
            ``padding`` (left, right, top, bottom).
        size: H and W including the padding.
        device: device of the result.

    Returns:
        Grid (N, H, W, 2) for ``grid_sample``; bool mask (N, 1, H, W), False in the padding; scales
        (N, 1, 1, 1).
    """
    rows = []
    for sample in samples:
        top, bottom, left, right, scale = sample.zoom
        height, width = sample.img_shape
        pad_left, _, pad_top, _ = sample.get('padding', (0, 0, 0, 0))
        rows.append((*_axis(left, right, width, pad_left, size[1]),
                     *_axis(top, bottom, height, pad_top, size[0]), scale,
                     pad_left, pad_left + width, pad_top, pad_top + height))
    numbers = upload(rows, torch.float32, device)[:, :, None, None]
    a_x, b_x, a_y, b_y, scale, x_0, x_1, y_0, y_1 = numbers.unbind(1)
    x = torch.arange(size[1], device=device, dtype=torch.float32).view(1, 1, -1) + 0.5
    y = torch.arange(size[0], device=device, dtype=torch.float32).view(1, -1, 1) + 0.5
    grid = torch.stack(torch.broadcast_tensors(a_x * (2 * x / size[1] - 1) + b_x,
                                               a_y * (2 * y / size[0] - 1) + b_y), -1)
    inside = (x > x_0) & (x < x_1) & (y > y_0) & (y < y_1)
    return grid, inside[:, None], scale[..., None]


def _axis(start: int, stop: int, side: int, padding: int, padded: int) -> tuple[float, float]:
    """Return a, b of u' = a u + b between [-1, 1] coordinates of the padded side.

    In pixels: p' = padding + start + (p - padding) (stop - start) / side.
    """
    slope = (stop - start) / side
    return slope, slope - 1 + 2 * (start + padding * (1 - slope)) / padded
