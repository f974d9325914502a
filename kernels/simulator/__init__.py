"""Runs CUDA kernels without a GPU: the same source, compiled by the host's C++ compiler against a model of the machine.

    build.py      compiles kernels and the runtime, and keeps what was compiled
    run.py        a launch: arguments packed, results copied back
    report.py     what was found, by file, line and name: SimulatorError, Report; KINDS, all that can be
    profile.py    bank conflicts, memory sectors, bytes and floating-point operations for each line
    language/     CUDA C++ for the host's compiler: included before every kernel
    runtime/      the machine: fibers, blocks and barriers, shared memory, asynchronous units, the checker

What it does not see, since the compiler says nothing of it: an access through a pointer that goes from one __shared__ array into
another one of the block (an index beyond an array's own size is seen where the array is named); loads and stores that the compiler
removes, splits or joins, so that in mode "fast" a misaligned float4 is found only where one instruction moves it, and with clang++
in mode "check" only where its members are named (p->x), not where it is copied whole.
"""
from .build import CompileError, CompilerMissing
from .profile import profile
from .report import KINDS, Report, SimulatorError
from .run import launch
