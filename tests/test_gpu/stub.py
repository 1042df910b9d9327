"""Builds what takes CUDA's place in a CPU build of torch."""

import os
import subprocess
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent


def environment(folder: Path) -> dict[str, str]:
    """Build the stub of CUDA; the environment of processes that take it for a GPU."""
    torch_dir, library = Path(torch.__file__).parent, folder / 'libfakecuda.so'
    if not library.exists():
        subprocess.run(
            ['g++', '-O0', '-std=c++20', '-shared', '-fPIC', f'-I{torch_dir}/include',
             f'{HERE}/guard.cpp', f'{HERE}/hooks.cpp', '-o', library, f'-L{torch_dir}/lib',
             '-lc10', '-ltorch_cpu'], check=True)
    return os.environ | dict(
        LD_PRELOAD=str(library), LD_LIBRARY_PATH=f'{torch_dir}/lib', OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join(map(str, (HERE.parents[1], HERE.parent))))
