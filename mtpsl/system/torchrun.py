"""torchrun that ends with the cause of a failure: ``python -m mtpsl.system.torchrun``."""

import logging
import signal
import sys

from torch.distributed import DistNetworkError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def main(argv: list[str] | None = None) -> None:
    """Run ``torch.distributed.run`` without its long report of a failure.

    A tool reports its own error in a line; this function reports processes ended by a signal.
    """
    args = parse_args(argv)
    for name in ('api', 'agent.server.api', 'multiprocessing.api'):  # report each process
        logging.getLogger(f'torch.distributed.elastic.{name}').addFilter(_keep)
    try:
        run(args)
    except DistNetworkError as error:
        told = ' '.join(str(error).split()).rstrip('.')
        hint = '; PORT=... of the launch script chooses another port' * ('EADDRINUSE' in told)
        print(f'{args.training_script}: error: {told}{hint}', file=sys.stderr)
        raise SystemExit(1) from None
    except SignalException as error:  # the processes have said that they were interrupted
        raise SystemExit(128 + error.sigval) from None
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
