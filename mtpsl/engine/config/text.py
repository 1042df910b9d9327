"""Caches yapf's formatting of config text.

mmengine lets yapf lay out a config's text whenever it logs, dumps or saves one, five times in a
run of one epoch and seconds each. The layout of a top-level statement does not depend on the
others, so it is kept.
"""

import ast
from functools import cache

from yapf.yapflib import yapf_api

_format_code = yapf_api.FormatCode


@cache
def _lay_out(statement: str, style: tuple[tuple[str, object], ...]) -> str:
    return _format_code(statement, style_config=dict(style))[0]


def format_code(unformatted_source: str, filename: str = '<unknown>',
                style_config: str | dict[str, object] | None = None, **others: object,
                ) -> tuple[str, bool]:
    """yapf's ``FormatCode``, statement by statement, for calls as mmengine's; see there.

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
