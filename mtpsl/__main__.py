"""The command ``mtpsl``: every tool by its name, from any folder, of a checkout or a wheel."""

import ast
import difflib
import os
import runpy
import shutil
import sys
from pathlib import Path

from mtpsl.engine.config.model_index import config_names, find_config, home, models
from mtpsl.system.arguments import end_without_reader

USAGE = """usage: mtpsl TOOL [arguments]    run a tool; mtpsl TOOL --help shows its arguments
       mtpsl list [WORD]         tools, configs and models that ship, with WORD in the name
       mtpsl find CONFIG         the file of a config that is given by name

mtpsl train CONFIG, mtpsl test CONFIG CHECKPOINT and so on take the name of a config or a file."""


def tools() -> dict[str, Path]:
    """The programs below ``tools`` and ``demo`` by name; ``image_demo`` is also ``demo``."""
    found = {path.stem: path for folder in ('tools', 'demo')
             for path in sorted((home() / folder).rglob('*.*')) if path.suffix in ('.py', '.sh')}
    if 'image_demo' in found:
        found['demo'] = found['image_demo']
    return found


def listing(word: str = '') -> str:
    """What there is with ``word`` in its name."""
    programs = [f'  {name:24}{_purpose(path)}' for name, path in sorted(tools().items())
                if word in name]
    configs = [f'  {name}' for name in config_names() if word in name]
    names = [f'  {name}' for name in models() if word in name]
    parts = dict(tools=programs, configs=configs, models=names)
    lines = [line for title, entries in parts.items() if entries for line in ('', title, *entries)]
    lines = lines or ['', f'nothing has {word!r} in its name']
    return '\n'.join([f'tools and configs of {home()}', *lines])


def _purpose(path: Path) -> str:
    """The first line that a program says of itself, without its command."""
    text = path.read_text()
    line = (ast.get_docstring(ast.parse(text)) if path.suffix == '.py'
            else text.splitlines()[1].lstrip('# ')) or ''
    return line.partition('\n')[0].partition(': ``')[0].rstrip('.')


def run(name: str, arguments: list[str]) -> None:
    """Run a tool in this process, as ``python tools/<name>.py`` does."""
    known = tools()
    if name not in known:
        near = difflib.get_close_matches(name, [*known, 'list', 'find'], 3)
        hint = f'did you mean {" or ".join(near)}?' if near else '`mtpsl list` shows all'
        sys.exit(f'mtpsl: error: there is no tool {name!r}; {hint}')
    path = str(known[name])
    if path.endswith('.sh'):
        os.environ.setdefault('PYTHON', sys.executable)
        os.execv(shutil.which('bash') or '/bin/bash', ['bash', path, *arguments])
    sys.argv[:] = [path, *arguments]
    runpy.run_path(path, run_name='__main__')


def main() -> None:
    """The command line."""
    name, arguments = (sys.argv[1:2] or ['--help'])[0], sys.argv[2:]
    if name in ('-h', '--help'):
        print(USAGE)
    elif name == 'list' and len(arguments) <= 1:
        try:
            print(listing(*arguments), flush=True)
        except BrokenPipeError as error:  # as after | head
            end_without_reader(error)
    elif name == 'find' and len(arguments) == 1:
        try:
            print(Path(find_config(arguments[0])).resolve())
        except FileNotFoundError as error:
            sys.exit(f'mtpsl: error: {error}')
    elif name in ('list', 'find'):
        sys.exit(USAGE)
    else:
        run(name, arguments)


if __name__ == '__main__':
    main()
