"""The commands and the Python of the documents, as a reader would copy them.

Bash itself reads the commands: it joins lines, fills variables in, goes through loops and runs
the launch scripts. Only the programs that they start are noted down instead of run.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCUMENTS = [path.relative_to(ROOT) for path in (
    ROOT / 'README.md', ROOT / 'data/README.md', *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').glob('*/README.md')))]
FENCE = re.compile(r'^ *```(\S*)[^\n]*\n(.*?)^ *```$', re.DOTALL | re.MULTILINE)
SHELLS = ('bash', 'sh', 'shell', 'console')
PROGRAMS = (r'python3? (?:-m )?\S|tools/\S+\.sh \S|make \w|pip \w|git \w|mim \w|mtpsl \w|'
            r'pre-commit \w')
COMMAND = re.compile(rf'(?:[A-Z_]+=\S+ )*(?:{PROGRAMS})')
# What a reader fills in, in blocks and in the text.
PLACEHOLDERS = {
    'CONFIG': 'configs/synthetic/diffusionmtl_onelabel.py',
    'CHECKPOINT': 'work_dirs/synthetic/diffusionmtl_onelabel/epoch_6.pth',
    'GPUS': '2', '/mnt/datasets': 'data', '/path/to/cityscapes': 'official'}
STUB = '#!{bash}\nprintf "%s\\0" "${{0##*/}}" "$@" $\'\\n\' >> "$COMMANDS"\n'
HANDLER = 'command_not_found_handle() { printf "%s\\0" "$@" $\'\\n\' >> "$COMMANDS"; }\n'


class Command(NamedTuple):
    """A program that a document starts."""

    document: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return ' '.join(self.words)


def shell_text(document: Path) -> list[str]:
    """The blocks of commands, then the commands within the text."""
    text = (ROOT / document).read_text()
    blocks = [code for language, code in FENCE.findall(text)
              if language in SHELLS or (not language and COMMAND.match(code))]
    prose = FENCE.sub('', text)
    inline = [' '.join(code.split()) for code in re.findall(r'`([^`]+)`', prose)]
    return blocks + [code for code in inline if COMMAND.match(code)]


def commands(document: Path, place: Path) -> list[Command]:
    """All programs that the document's commands start, in their order, with their arguments.

    Args:
        document: path from the root of the repository.
        place: the folder in which the reader is, with ``tools`` and ``configs``.
    """
    programs = place / 'bin'
    programs.mkdir(exist_ok=True)
    bash = shutil.which('bash')
    for name in ('bash', 'dirname'):
        if not (programs / name).exists():
            (programs / name).symlink_to(shutil.which(name))
    for name in ('python', 'srun'):
        (programs / name).write_text(STUB.format(bash=bash))
        (programs / name).chmod(0o755)
    (programs / 'handler').write_text(HANDLER)
    environment = dict(PATH=str(programs), COMMANDS=str(place / 'commands'), HOME=str(place),
                       BASH_ENV=str(programs / 'handler'))
    found = []
    for text in shell_text(document):
        for placeholder, value in PLACEHOLDERS.items():
            text = re.sub(rf'(?<![\w=]){placeholder}\b(?!=)', value, text)
        (place / 'commands').write_text('')
        done = subprocess.run([bash, '-ec', text], cwd=place, env=environment, text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f'{document}: bash cannot run\n{text}\n{done.stderr}'
        noted = (place / 'commands').read_text().split('\n\0')[:-1]
        assert noted or text.startswith('export '), f'{document}: starts nothing:\n{text}'
        found += [Command(str(document), tuple(words.split('\0')[:-1])) for words in noted]
    return found


def python_blocks(document: Path) -> list[tuple[str | None, str]]:
    """The Python of a document: (path of the file that it is to be, code).

    A path is named in the first line, ``# configs/mine/x.py``, or in the words before the block,
    "Save this as ``configs/mine/x.py``"; without one it is a program to run.
    """
    text, found = (ROOT / document).read_text(), []
    for match in FENCE.finditer(text):
        if match[1] != 'python':
            continue
        said = re.search(r'[Ss]ave this as `([^`]+\.py)`[^`]*\Z', text[:match.start()])
        first = re.match(r'# ([\w./-]+\.py)\b', match[2])
        found.append((first[1] if first else said and said[1], match[2]))
    return found
