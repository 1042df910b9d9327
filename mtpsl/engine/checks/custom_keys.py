"""Keys of mmengine's ``paramwise_cfg.custom_keys``, which act on all weights that hold them."""

from collections.abc import Iterator

from mmengine.runner import Runner

from mtpsl.engine.ranks import bare_model

# Options of mmengine's constructor for kinds of weights, which give way to custom_keys.
OF_KINDS = ('norm_decay_mult', 'bias_decay_mult', 'dwconv_decay_mult', 'flat_decay_mult',
            'bias_lr_mult', 'dcn_offset_lr_mult')


def custom_key_doubts(runner: Runner) -> Iterator[str]:
    """Where keys act on more or less than they seem to.

    A key may be in names of weights for being in a task's alone; and other options give way to it.
    The groups of this project's constructor check their names themselves.

    Raises:
        ValueError: a key is in no name.
    """
    wrapper, model = runner.cfg.optim_wrapper, bare_model(runner)
    if 'constructor' in wrapper:
        return
    groups = wrapper.get('paramwise_cfg') or {}
    keys = groups.get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in keys:
        if not any(key in name for name in names):
            raise ValueError(
                f'optim_wrapper.paramwise_cfg.custom_keys.{key}: no parameter of the model has '
                f'that in its name; they begin with '
                f'{", ".join(dict.fromkeys(name.partition(".")[0] for name in names))}')
    passed = [name for name in OF_KINDS if groups.get(name) is not None]
    without = [key for key, given in keys.items() if 'decay_mult' not in given]
    if passed and without:
        yield (f'optim_wrapper.paramwise_cfg: {", ".join(passed)} has no effect on weights with '
               f'{", ".join(without)} in their names, by mmengine\'s rule; decay_mult of '
               'custom_keys has')
    for key in keys:
        for task in getattr(model, 'tasks', {}):
            met = [name for name in names if key in name and key not in name.replace(task, '')]
            if key != task and key in task and met:
                yield (f'optim_wrapper.paramwise_cfg.custom_keys.{key} is also in the name of the '
                       f'task {task}, and so acts on {len(met)} weights such as {met[0]}; a longer '
                       'key is nearer to what is meant')
