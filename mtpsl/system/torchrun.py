"""torchrun whose last line is the cause of a failure: ``python -m mtpsl.system.torchrun``."""

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def main(argv: list[str] | None = None) -> None:
    """As ``python -m torch.distributed.run``, without its page on a failure.

    A tool has said in a line what happened. A process that a signal ended could not, so this does.
    """
    args = parse_args(argv)
    for name in ('api', 'agent.server.api', 'multiprocessing.api'):  # who tells of each end
        logging.getLogger(f'torch.distributed.elastic.{name}').addFilter(_keep)
    try:
        run(args)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            print(f'{args.training_script}: error: the process of rank {rank} was ended by {name}'
                  + (', perhaps for lack of memory (dmesg tells)' if name == 'SIGKILL' else ''),
                  file=sys.stderr)
        raise SystemExit(failure.exitcode if failure.exitcode > 0 else 1) from None


def _keep(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in ('failed (exitcode', 'closing signal'))


if __name__ == '__main__':
    main()
