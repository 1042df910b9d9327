"""Matches a loaded optimiser state to the model, and compares weights of all processes."""

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mtpsl.engine.checkpoints.content import task_order
from mtpsl.engine.checkpoints.optimizer_state import arrange
from mtpsl.engine.ranks import bare_model, compare_weights
from mtpsl.registry import HOOKS


@HOOKS.register_module()
class LoadingHook(Hook):
    """Reorders the optimiser's state of a checkpoint to match the model's parameters.

    Models of this project reorder their weights themselves, see
    ``MultiTaskModel.rearrangement``; the optimiser's state knows its parameters by number only.
    :func:`mtpsl.engine.build_runner` adds this hook to every runner.

    Raises:
        ValueError: before training or testing, the processes have other weights.
    """

    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Reorder ``checkpoint['optimizer']`` before a resumed run loads it."""
        model = bare_model(runner)
        wrapper = runner.optim_wrapper
        if not (runner._resume and 'optimizer' in checkpoint and isinstance(wrapper, OptimWrapper)
                and hasattr(model, 'rearrangement')):
            return
        named = checkpoint['meta'].get('dataset_meta') or {}
        own = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('tasks', ())
        if set(named.get('tasks', ())) == set(own):  # the same data in another order
            named['tasks'] = own
        moved = model.rearrangement(checkpoint['state_dict'], task_order(checkpoint))
        checkpoint['optimizer'] = arrange(
            checkpoint['optimizer'], wrapper.optimizer, model, moved.names if moved else list,
            moved.apply if moved else lambda name, value: value)

    def before_train(self, runner: Runner) -> None:
        """Compare the weights of all processes, each of which reads its own file."""
        model = bare_model(runner)
        compare_weights(runner, model.load_teacher() if hasattr(model, 'load_teacher') else None)

    def before_test(self, runner: Runner) -> None:
        """Compare the weights as before training; a teacher is not needed."""
        compare_weights(runner)
