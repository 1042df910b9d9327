"""Reads values of ``--cfg-options``: mmengine's forms, and dicts."""

import ast

QUOTED = {'"', "'"}
PAIRS = {')': '(', ']': '[', '}': '{'}


def read_value(text: str) -> object:
    """Read a number, True, False, None, a string, a list, a tuple or a dict.

    ``1,2`` and ``[1,2]`` are lists, ``(1,2)`` is a tuple, ``dict(a=1)`` and ``{'a': 1}`` are dicts,
    and all of them nest. Strings need no quotes, except in dicts if they are no plain names; what
    has quotes is text, as ``"2017"`` and ``"a,b"`` are.

    Raises:
        ValueError: brackets do not match, or a dict is malformed.
    """
    if QUOTED & set(text):
        quoted = _quoted(text)
        if quoted is not None:
            return quoted
    if '{' in text or 'dict(' in text:
        try:
            return _literal(ast.parse(text.strip(), mode='eval').body)
        except SyntaxError as error:
            raise ValueError(f'{text!r} is no dict as Python writes it ({error.msg}); text that is '
                             'no plain name needs quotes in it') from None
    if (',' in text or text[:1] in ('(', '[') or text[-1:] in (')', ']')) and not _balanced(text):
        raise ValueError(f'the brackets of {text!r} do not match')
    from mmengine.config import DictAction  # not imported for --help
    if ',' not in text and text[:1] + text[-1:] not in ('()', '[]'):
        return DictAction._parse_int_float_bool(text.strip())  # with the spaces inside of a text
    return DictAction._parse_iterable(text)


def as_text(value: object) -> str:
    """How to write a value, where it should have been text, for an error; '' for others."""
    if not isinstance(value, (int, float, list, tuple)):
        return ''
    text = ','.join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return f"; text that reads as a number or a list has quotes of its own, as KEY='\"{text}\"'"


def _quoted(text: str) -> object:
    """The value of a text with quotes; None where it is not written as Python does."""
    try:
        parts = ast.parse(f'[{text.strip()}]', mode='eval').body
        found = _literal(parts)
    except (SyntaxError, ValueError):
        return None
    assert isinstance(found, list)
    alone = len(found) == 1 and not text.rstrip().endswith(',')
    return found[0] if alone else found


def _balanced(text: str) -> bool:
    opened: list[str] = []
    for char in text:
        if char in PAIRS.values():
            opened.append(char)
        elif char in PAIRS and (not opened or opened.pop() != PAIRS[char]):
            return False
    return not opened


def _literal(node: ast.expr) -> object:
    """Evaluate literals, calls of ``dict`` with keywords, and names as strings."""
    if isinstance(node, ast.Name):
        return {'true': True, 'false': False}.get(node.id, node.id)
    if isinstance(node, ast.Tuple):
        return tuple(map(_literal, node.elts))
    if isinstance(node, ast.List):
        return list(map(_literal, node.elts))
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_literal(key): _literal(value) for key, value in zip(node.keys, node.values)
                if key is not None}
    if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict'
            and not node.args and all(word.arg for word in node.keywords)):
        return {word.arg: _literal(word.value) for word in node.keywords}
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f'{ast.unparse(node)!r} is no value; text that is no plain name needs '
                         'quotes in a dict') from None
