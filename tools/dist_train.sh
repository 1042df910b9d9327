#!/usr/bin/env bash
# Train on several processes: one a GPU, or (without GPUs) that many on the CPU.
# usage: [NNODES= NODE_RANK= PORT= MASTER_ADDR=] tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi

fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}
positive() {
    [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 must be a positive whole number, got '$2'"
}

CONFIG=$1
GPUS=$2
NNODES=${NNODES:-1}
if [ "$NNODES" != 1 ] && { [ -z "${NODE_RANK:-}" ] || [ -z "${MASTER_ADDR:-}" ]; }; then
    fail "with NNODES=$NNODES set NODE_RANK (another on each node) and MASTER_ADDR (the first node)"
fi
NODE_RANK=${NODE_RANK:-0}
PORT=${PORT:-29500}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}

# A name without suffix is looked up by the tool itself.
[ -f "$CONFIG" ] || [[ $CONFIG != *.* ]] \
    || fail "CONFIG must be an existing file, or the name of a config without .py, got '$CONFIG'"
positive GPUS "$GPUS"
positive NNODES "$NNODES"
positive PORT "$PORT"
[[ $NODE_RANK =~ ^[0-9]+$ ]] && ((10#$NODE_RANK < NNODES)) \
    || fail "NODE_RANK must be 0 to $((NNODES - 1)), got '$NODE_RANK'"

"${PYTHON:-python}" -m mtpsl.system.torchrun \
    --nnodes="$NNODES" \
    --node_rank="$NODE_RANK" \
    --master_addr="$MASTER_ADDR" \
    --nproc_per_node="$GPUS" \
    --master_port="$PORT" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
