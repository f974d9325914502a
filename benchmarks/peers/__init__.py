"""The workloads of benchmarks/cpu.py in other libraries: JAX (compiled and eager), MyGrad, autograd, tinygrad, DeZero.

problems.py states each workload once, in a few primitives and layers; library.py composes the layers from the primitives; a module
here gives a library's primitives, what layers it has of its own, and how it differentiates.  What a library has is used, a layer or
an Adam that it lacks is composed or written by hand as its user would, and what cannot be made of its primitives is left out.
"""
import importlib

MODULES = {"jit": ("xla", "Compiled"), "jax": ("xla", "Eager"), "mygrad": ("my", "MyGrad"), "autograd": ("hips", "Autograd"),
           "tinygrad": ("tiny", "Tinygrad"), "dezero": ("zero", "DeZero")}
COMPILES = {"tinygrad": {                             # seconds of a processor, with tinygrad 0.14: not tried by who has less patience
    "100 small ops": 90, "embedding": 240, "LSTM": 240, "ResNet-18 step": 75, "transformer block": 75, "GPT-2 block": 75,
}}


def maker(library, threads):
    """What makes the step of a workload in a library: make(name), None where the library has no such thing, and make.without says why."""
    from .problems import PROBLEMS
    module, name = MODULES[library]
    made = getattr(importlib.import_module(f".{module}", __name__), name)(threads)

    def make(name):
        return None if name in made.without else PROBLEMS[name](made)
    make.without = made.without
    return make
