"""The MTL baseline with an auxiliary training objective: SS, XTC or JTR."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mtpsl.models.regularizers import View
from mtpsl.models.to_device import labelled_index
from mtpsl.registry import MODELS
from mtpsl.structures import MultiTaskSample
from mtpsl.structures.outputs import FINAL, join_losses
from mtpsl.tasks import Task

from .base import MultiTaskModel


@MODELS.register_module()
class RegularizedMTL(MultiTaskModel):
    """The MTL baseline, trained on several views of each sample with a regulariser.

    The task losses are computed on view 0, the regulariser's on the views that it needs. All views
    pass the network as one batch. At test time the model is the MTL baseline.

    Args:
        tasks: task name -> task or its config.
        backbone: see :class:`MultiTaskModel`.
        neck: see :class:`MultiTaskModel`.
        decoder: see :class:`MultiTaskModel`.
        regularizer: config of a :class:`~mtpsl.models.regularizers.Regularizer`;
            :class:`~mtpsl.datasets.transforms.MultiView` makes its views.
        data_preprocessor: config of the data preprocessor.
        init_cfg: see :class:`mmengine.model.BaseModule`.
        channels_last: see :class:`MultiTaskModel`.
    """

    def __init__(self, tasks: Mapping[str, dict | Task], backbone: dict, neck: dict, decoder: dict,
                 regularizer: dict, data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None, channels_last: bool = True) -> None:
        super().__init__(tasks, backbone, neck, decoder, data_preprocessor, init_cfg,
                         channels_last)
        self.regularizer = MODELS.build(dict(tasks=self.tasks) | regularizer)
        self._set_memory_format()

    def loss(self, inputs: Tensor, data_samples: list[MultiTaskSample]) -> dict[str, Tensor]:
        """Return the losses of :class:`MultiTaskModel` on view 0, and the regulariser's.

        Args:
            inputs: (V B, 3, H, W), the B samples of view 0 first.
            data_samples: V B samples in the same order.

        Raises:
            ValueError: the batch lacks views that the regulariser needs, or a loss of it has the
                name of a task's.
        """
        views = self._split(data_samples)
        stages = self.backbone(inputs)
        logits = self.decoders(self.neck(stages))[1]
        rows = self.labelled(views[0])
        index = labelled_index(rows, inputs.device)
        chosen = {name: logits[name][i] for name, i in index.items()}
        losses = self.task_losses({FINAL: chosen}, views[0], rows)
        losses |= self.zero_loss(rows, logits)
        parts = {name: maps.chunk(len(views)) for name, maps in logits.items()}
        features = stages[-1].chunk(len(views))
        height, width = inputs.shape[-2:]
        return join_losses(losses, self.regularizer(
            [View(samples, {name: part[v] for name, part in parts.items()}, features[v],
                  (height, width)) for v, samples in enumerate(views)], rows))

    def _split(self, data_samples: Sequence[MultiTaskSample]) -> list[list[MultiTaskSample]]:
        """Split the samples by view."""
        numbers = [sample.get('view') for sample in data_samples]
        needed = self.regularizer.num_views
        size = len(numbers) // needed
        if numbers != [view for view in range(needed) for _ in range(size)]:
            found = sorted({number for number in numbers if number is not None})
            raise ValueError(
                f'{type(self.regularizer).__name__} needs the views {list(range(needed))} of each '
                f'image, got {found}; end train_pipeline with MultiView and {needed} pipelines')
        return [list(data_samples[size * view:size * (view + 1)]) for view in range(needed)]
