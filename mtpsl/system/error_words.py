"""What an error says, in words for who started the program."""

import re
import signal
import traceback
from multiprocessing import active_children
from pathlib import Path

# What Python shows of an object without a representation of its own, and of a function.
ADDRESS = re.compile(r'<(?:function )?(?:[\w<>]+\.)*(\w+)(?: object)? at 0x[0-9a-f]+>')
# Signals that end a worker, with the usual cause and the remedy.
_SIGNALS = {
    'Killed': 'SIGKILL, usually by the kernel or the batch system for lack of memory: lower '
              'num_workers, prefetch_factor or batch_size of the data loader, or allow the job '
              'more memory (dmesg tells)',
    'Bus error': 'SIGBUS, usually since shared memory is full: enlarge /dev/shm (docker run '
                 '--shm-size=8g), or lower num_workers or prefetch_factor of the data loader',
    'Segmentation fault': 'SIGSEGV, a crash in a compiled library, perhaps on a damaged file: '
                          'tools/analysis_tools/check_dataset.py CONFIG --sample all looks for it',
    'Terminated': 'SIGTERM, by somebody or the batch system'}


def explain(error: Exception) -> str:
    """Return the cause of an error on one line, also of one in a data loader's worker."""
    # The text of a KeyError is the repr of its key; our messages must have no quotes.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if text.startswith('DataLoader worker (pid'):
        _end_workers()
        return _worker_death(error)
    if re.match(r'Caught \w+ in DataLoader worker process', text):
        # The worker's traceback as text, which ends with 'Type: message'.
        text = re.split(r'\n(?=\S)', text.rpartition('\n  File "')[2], maxsplit=1)[-1]
        text = re.sub(r'^[\w.]+: ', '', text)
    text = ADDRESS.sub(r'\1', ' '.join(text.split()))
    if text.startswith('Expected more than 1 value per channel when training'):
        return (f'a batch of one image, whose deepest map is one pixel, has no batch statistics: '
                f'train_dataloader.drop_last=True, another batch_size, or larger images ({text})')
    if isinstance(error, KeyError) and not re.search(r'\S \S', text):
        return f'there is no {error.args[0]!r}' if error.args else 'an entry is missing'
    return text or _NAMELESS.get(type(error), type(error).__name__)


_NAMELESS: dict[type[Exception], str] = {
    AssertionError: 'a condition of the code does not hold', MemoryError: 'out of memory'}


def kind_of(error: Exception) -> str:
    """Return the type of an error and, where its text may say little, its file and line."""
    name, frames = type(error).__name__, traceback.extract_tb(error.__traceback__)
    said = (ValueError, OSError, RuntimeError, ImportError)
    if isinstance(error, said) and str(error).strip() and not isinstance(error, RecursionError):
        return name
    # Raised with a message, not by an operation that failed.
    if not frames or isinstance(error, KeyError) and ' ' in str(error) or (
            isinstance(error, TypeError) and (frames[-1].line or '').startswith('raise TypeError')):
        return name
    path = Path(frames[-1].filename)
    return f'{name} in {frames[-1].name}, {"/".join(path.parts[-3:])}:{frames[-1].lineno}'


def ended_by(error: SystemExit) -> str:
    """Return the place that ended the process by ``exit()``.

    '' where that is this package, a tool or a parser of arguments, which say why.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if '_sitebuiltins' not in frame.filename]  # exit() itself
    path, ours = Path(frames[-1].filename), Path(__file__).parents[2]
    if path.name == 'argparse.py' or any(path.is_relative_to(ours / folder)
                                         for folder in ('mtpsl', 'tools')):
        return ''
    return f'{"/".join(path.parts[-3:])}:{frames[-1].lineno}'


def with_place(error: Exception) -> str:
    """Return an error's text, with its type and place where that may say little."""
    kind = kind_of(error)
    return f'{explain(error)} [{kind}]' if ' in ' in kind else str(error)


def _end_workers() -> None:
    """End the other workers, which would print tracebacks if left alone."""
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler raises when they end
    workers = [process for process in active_children() if process.daemon]
    for process in workers:
        process.kill()
    for process in workers:
        process.join()
    signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _worker_death(error: BaseException) -> str:
    """Find the signal that ended a worker in torch's error or its cause."""
    texts = [str(error)]
    while cause := error.__cause__ or error.__context__:
        error = cause
        texts.append(str(error))
    told = '\n'.join(texts)
    number = re.search(r'pid[^0-9]*([0-9]+)', told)
    process = f'the data loading process {number[1] if number else "?"}'
    status = re.search(r'with exit code (\d+)', told)
    if status:
        return (f'{process} ended with exit status {status[1]}: num_workers=0 of the data loader '
                'may show why')
    found = re.search(r'is killed by signal: (.+?)\. ', told)
    if not found:
        return (f'{process} died, and it is not known of what: dmesg tells whether memory ran out; '
                'num_workers=0 of the data loader shows an error in it')
    reason = next((reason for name, reason in _SIGNALS.items() if found[1].startswith(name)),
                  f'signal {found[1]}')
    return f'{process} was killed: {reason}'
