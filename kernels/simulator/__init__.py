"""Runs CUDA kernels without a GPU: the same source, compiled by the host's C++ compiler against a model of the machine.

    build.py      compiles kernels and the runtime, and keeps what was compiled
    run.py        a launch: arguments packed, results copied back
    report.py     what was found, by file, line and name: SimulatorError, Report; KINDS, all that can be
    profile.py    bank conflicts, memory sectors, bytes and floating-point operations for each line
    language/     CUDA C++ for the host's compiler: included before every kernel
    runtime/      the machine: fibers, blocks and barriers, shared memory, asynchronous units, the checker
"""
from .build import CompileError, CompilerMissing
from .profile import profile
from .report import KINDS, Report, SimulatorError
from .run import launch
