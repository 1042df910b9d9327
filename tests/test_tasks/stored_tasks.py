"""Tasks with options of how labels are stored."""

from mtpsl.tasks import Task, build_tasks

NAMES = ('wall', 'door', 'floor')


def build(kind: str = 'Semseg', **arguments: object) -> Task:
    if kind == 'Semseg':
        arguments = dict(class_names=NAMES) | arguments
    return build_tasks(dict(task=dict(type=kind, **arguments)))['task']
