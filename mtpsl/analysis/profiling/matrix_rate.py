"""Compares a step's convolutions and matrix products with the GPU's matrix rate."""

import re
import time
from collections.abc import Callable, Iterable

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

# Parts of the names of cuDNN's, cuBLAS's, CUTLASS's and attention's kernels.
MATRIX_KERNEL = re.compile(
    r'gemm|gemv|conv|xmma|cutlass|wgrad|dgrad|fprop|implicit|flash|fmha|splitk|nvjet|winograd',
    re.IGNORECASE)
SIDE = 8192  # side of the square matrices with which the GPU's rate is measured
PRODUCTS = 20


def matrix_share(step: Callable[[], object]) -> dict[str, float]:
    """Profile a step on a GPU by running it twice more.

    Args:
        step: function that runs a whole step.

    Returns:
        The floating-point operations in convolutions and matrix products (two per multiply-add),
        the time in their kernels, and their rate as a share of the GPU's bf16 rate.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        step()
        torch.cuda.synchronize()
    kernels = [(event.key, event.self_device_time_total) for event in profiler.key_averages()]
    return share_facts(counter.get_total_flops(), kernels, bf16_rate())


def share_facts(flops: int, kernels: Iterable[tuple[str, float]], rate: float) -> dict[str, float]:
    """Compute the results of :func:`matrix_share`.

    Args:
        flops: floating-point operations in convolutions and matrix products.
        kernels: (name, total microseconds) of each kernel.
        rate: the GPU's floating-point operations per second.
    """
    times = list(kernels)
    matrix = sum(us for name, us in times if MATRIX_KERNEL.search(name)) / 1e6
    total = sum(us for _, us in times) / 1e6
    return {'TFLOP of convolutions and matrix products': flops / 1e12,
            'ms in their kernels': 1e3 * matrix,
            'percent of the kernel time': 100 * matrix / total if total else 0.0,
            'measured bf16 TFLOP/s of the card': rate / 1e12,
            'percent of it while in them': 100 * flops / matrix / rate if matrix else 0.0}


def bf16_rate() -> float:
    """Measure floating-point operations per second of a large bf16 matrix product, best of many."""
    a, b = (torch.randn(SIDE, SIDE, device='cuda', dtype=torch.bfloat16) for _ in range(2))
    best = float('inf')
    for _ in range(PRODUCTS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best
