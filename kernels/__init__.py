"""CUDA C++ sources and the code that launches them, installed as `minitorch.kernels`.

Nothing here is needed on a machine without a GPU, and nothing of minitorch imports it unasked.
"""
