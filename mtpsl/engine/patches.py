"""Patches of other packages, applied once per process when this module is imported.

| package | what | why |
|:--|:--|:--|
| mmengine 0.10 | loaders of checkpoints: files, addresses, ``torchvision://`` | \
run no code, detect damage, read ``.safetensors`` too |
| mmengine 0.10 | loaders of ``open-mmlab://`` and the like | refused with a hint |
| mmengine 0.10 | the local file backend | files appear whole or not at all, even after a kill |
| mmengine 0.10 | names of packages for ``mmengine.hub`` | finds this package's configs |
| yapf 0.40 and later | ``FormatCode`` | a config's text is formatted once, not at each logging |

Also filtered: harmless warnings (:mod:`mtpsl.engine.quiet`), and what mmseg prints when it is
imported (:mod:`mtpsl.datasets.transforms`).
"""

import ast
from functools import cache

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio.backends import register_backend
from mmengine.runner.checkpoint import CheckpointLoader
from yapf.yapflib import yapf_api

from .checkpoints.content import load_file, load_torchvision, load_url, refuse_scheme
from .checkpoints.local_backend import AtomicLocalBackend

_format_code = yapf_api.FormatCode


@cache
def _lay_out(statement: str, style: tuple[tuple[str, object], ...]) -> str:
    return _format_code(statement, style_config=dict(style))[0]


def format_code(unformatted_source: str, filename: str = '<unknown>',
                style_config: str | dict[str, object] | None = None, **others: object,
                ) -> tuple[str, bool]:
    """Cached ``FormatCode`` of yapf, for calls as mmengine's; arguments: see there.

    mmengine formats a config whenever it logs, dumps or saves one: five times in a run of one
    epoch, seconds each. The layout of a top-level statement does not depend on the others.

    Returns:
        The text, laid out, and whether it differs from what was given.
    """
    if others or not isinstance(style_config, dict):
        return _format_code(unformatted_source, filename, style_config, **others)
    lines = unformatted_source.splitlines(keepends=True)
    style = tuple(sorted(style_config.items()))
    text = ''.join(_lay_out(''.join(lines[statement.lineno - 1:statement.end_lineno]), style)
                   for statement in ast.parse(unformatted_source).body)
    return text, text != unformatted_source


CheckpointLoader.register_scheme('', load_file, force=True)
CheckpointLoader.register_scheme(('http://', 'https://'), load_url, force=True)
CheckpointLoader.register_scheme('torchvision://', load_torchvision, force=True)
CheckpointLoader.register_scheme(
    ('modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://', 'pavi://'), refuse_scheme,
    force=True)
register_backend('local', AtomicLocalBackend, force=True, prefixes='')
MODULE2PACKAGE.setdefault('mtpsl', 'mtpsl')
yapf_api.FormatCode = format_code
