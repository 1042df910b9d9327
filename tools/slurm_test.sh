#!/usr/bin/env bash
# Test under slurm.
# usage: [GPUS= GPUS_PER_NODE= CPUS_PER_TASK= SRUN_ARGS= PORT= MASTER_ADDR=] tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]" >&2
    exit 2
fi

fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}
positive() {
    [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 must be a positive whole number, got '$2'"
}

PARTITION=$1
JOB_NAME=$2
CONFIG=$3
CHECKPOINT=$4
GPUS=${GPUS:-4}
CPUS_PER_TASK=${CPUS_PER_TASK:-5}

# A name without suffix is looked up by the tool itself.
[ -f "$CONFIG" ] || [[ $CONFIG != *.* ]] \
    || fail "CONFIG must be an existing file, or the name of a config without .py, got '$CONFIG'"
positive GPUS "$GPUS"
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 4 ? GPUS : 4))}
positive GPUS_PER_NODE "$GPUS_PER_NODE"
positive CPUS_PER_TASK "$CPUS_PER_TASK"
export MASTER_PORT=${PORT:-${MASTER_PORT:-29500}}
positive PORT "$MASTER_PORT"
command -v srun > /dev/null || fail "srun is not on the PATH: run this where slurm is installed"
# Several words, split at spaces; the shell expands nothing in them.
read -r -a EXTRA <<< "${SRUN_ARGS:-}"

srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres=gpu:"$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="$CPUS_PER_TASK" \
    --kill-on-bad-exit=1 \
    ${EXTRA[@]+"${EXTRA[@]}"} \
    "${PYTHON:-python}" -u "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher slurm "${@:5}"
