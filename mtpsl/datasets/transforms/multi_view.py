"""Several augmented views of one sample."""

from collections.abc import Callable, Collection, Mapping, Sequence

from mmcv.transforms import BaseTransform, Compose

from mtpsl.registry import TRANSFORMS
from mtpsl.tasks import Task

from .formatting import PackMultiTaskInputs
from .geometric import Zoom
from .image_only import moves_all


@TRANSFORMS.register_module()
class MultiView(BaseTransform):
    """Pack several views of a sample, each made from a copy by its own pipeline.

    Replaces :class:`PackMultiTaskInputs` at the end of a pipeline. Each view has labels that match
    it. The preprocessor makes one batch of all views, ordered by view. A packed sample has meta
    information ``view`` and ``zoom``, a :class:`Zoom` relative to the common sample; ``zoom`` is
    None after more than one :class:`RandomScaleCrop`, another geometric transform or a user's own
    that moves the image with the labels.

    Args:
        views: one pipeline per view, at least two; an empty one leaves the sample unchanged.
        meta_keys: see :class:`PackMultiTaskInputs`.
    """

    def __init__(self, views: Sequence[Sequence[dict | Callable]],
                 meta_keys: Sequence[str] = ('img_id', 'img_path', 'ori_shape',
                                             'img_shape')) -> None:
        pipelines = isinstance(views, Sequence) and all(
            isinstance(view, Sequence) and not isinstance(view, str) for view in views)
        if not pipelines or len(views) < 2:
            raise ValueError('MultiView: views must be a list of two pipelines or more, such as '
                             f"[[], [dict(type='RandomScaleCrop')]], got {views!r}")
        self.views = [Compose(list(view)) for view in views]
        self.pack = PackMultiTaskInputs((*meta_keys, 'view', 'zoom'))

    def check_tasks(self, tasks: Mapping[str, Task], known: Collection[str]) -> None:
        """Call ``check_tasks`` of the transforms of all views, see ``PartialLabelDataset``."""
        for view in self.views:
            for transform in view.transforms:
                if hasattr(transform, 'check_tasks'):
                    transform.check_tasks(tasks, known)

    def transform(self, results: dict) -> dict:
        """Make and pack the views of one sample.

        Returns:
            ``inputs`` and ``data_samples`` of :class:`PackMultiTaskInputs`, each a list with one
            entry per view.

        Raises:
            RuntimeError: a transform returned None.
        """
        height, width = results['img'].shape[:2]
        whole = Zoom(0, height, 0, width, 1.0)
        packed = []
        for number, view in enumerate(self.views):
            labels = {name: label.copy() for name, label in results.get('gt', {}).items()}
            made = view(results | dict(img=results['img'].copy(), gt=labels, view=number,
                                       zoom=whole))
            if made is None:
                raise RuntimeError(f'MultiView: a transform of view {number} returned None')
            if any(map(moves_all, view.transforms)):
                made = made | dict(zoom=None)
            packed.append(self.pack.transform(made))
        return {key: [view[key] for view in packed] for key in ('inputs', 'data_samples')}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(views={self.views})'
