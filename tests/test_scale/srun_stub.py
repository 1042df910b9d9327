"""Stands for slurm's srun: starts the tasks with the variables that slurm would set."""

import os
import subprocess
import sys


def main() -> int:
    """Run the command that follows srun's options, once a task; the worst exit status."""
    arguments, options = sys.argv[1:], {}
    while arguments and arguments[0].startswith('-'):
        name, _, value = arguments.pop(0).partition('=')
        options[name] = value or (arguments.pop(0) if name == '-p' else '')
    tasks = int(options['--ntasks'])
    each = int(options['--ntasks-per-node'])
    shared = dict(
        SLURM_NTASKS=str(tasks), SLURM_JOB_ID='1', SLURM_NODELIST='localhost',
        SLURM_NNODES=str(-(-tasks // each)), SLURM_CPUS_PER_TASK=options['--cpus-per-task'])
    processes = [subprocess.Popen(arguments, env=os.environ | shared | dict(
        SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank % each), SLURM_NODEID=str(rank // each)))
        for rank in range(tasks)]
    return max(process.wait() for process in processes)


if __name__ == '__main__':
    sys.exit(main())
