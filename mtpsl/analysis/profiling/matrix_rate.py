"""How near to the card's matrix rate a step comes while in convolutions and matrix products."""

import re
import time
from collections.abc import Callable, Iterable

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

# Kernels of cuDNN, cuBLAS, CUTLASS and of attention, by what their names have in common.
MATRIX_KERNEL = re.compile(
    r'gemm|gemv|conv|xmma|cutlass|wgrad|dgrad|fprop|implicit|flash|fmha|splitk|nvjet|winograd',
    re.IGNORECASE)
SIDE = 8192  # of the square matrices that the card's rate is measured with
PRODUCTS = 20


def matrix_share(step: Callable[[], object]) -> dict[str, float]:
    """Facts on one step on a GPU, which is run twice more.

    Args:
        step: runs a whole step.

    Returns:
        Its floating-point operations in convolutions and matrix products (two of a
        multiply-add), the time in their kernels, and their rate as a share of the card's bf16
        rate.
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
    """The arithmetic of :func:`matrix_share`.

    Args:
        flops: floating-point operations in convolutions and matrix products.
        kernels: (name, microseconds in all) of every kernel.
        rate: floating-point operations a second of the card.
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
    """Floating-point operations a second of a large bf16 matrix product, the best of many."""
    a, b = (torch.randn(SIDE, SIDE, device='cuda', dtype=torch.bfloat16) for _ in range(2))
    best = float('inf')
    for _ in range(PRODUCTS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best
