"""A CUDA source as one text for NVRTC: its own headers pasted in, and on request with `double` for `float`.

CuPy keeps compiled kernels by their text and does not look into headers, so a kernel whose header changed would stay as it
was.  `#line` directives keep every message at the right file and line.
"""
import re
from pathlib import Path

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"[^\n]*$', re.M)
ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once\b", re.M)
SYSTEM = "#include <cuda_bf16.h>\n#include <cuda_fp16.h>\n"

# What turns `float` into `double` once NVIDIA's headers have been read: types, then the functions of <math.h>.
FUNCTIONS = ("acos asin atan atan2 cbrt ceil copysign cos cosh erf erfc erfinv exp exp10 exp2 expm1 fabs floor fma fmax fmin fmod "
             "lgamma log log10 log1p log2 normcdf pow rint round rsqrt sin sinh sqrt tan tanh tgamma trunc").split()
FAST = "exp exp10 log log10 log2 pow sin cos tan".split()                # __expf and the like
TO_DOUBLE = "".join(
    ["#define float double\n"]
    + [f"#define float{n} double{n}\n#define make_float{n} make_double{n}\n" for n in (2, 3, 4)]
    + [f"#define {f}f {f}\n" for f in FUNCTIONS]
    + [f"#define __{f}f {f}\n" for f in FAST]
    + ["#define __fdividef(a, b) ((a) / (b))\n#define __fmaf_rn fma\n#define __frcp_rn __drcp_rn\n#define __fsqrt_rn __dsqrt_rn\n"
       "#define __fadd_rn __dadd_rn\n#define __fmul_rn __dmul_rn\n"])


def complete(kernel, double=False):
    """The text of a kernel's source with everything that it includes from here; double: with `float` compiled as `double`."""
    name = kernel.path.name if kernel.path else "source.cu"
    folder = kernel.path.parent if kernel.path else FOLDER
    body = f'#line 1 "{name}"\n' + pasted(kernel.text, name, folder, set())
    return (SYSTEM + TO_DOUBLE if double else "") + body


def pasted(text, name, folder, seen):
    """`text` with each header of ours in the place of its first #include; later ones vanish, as `#pragma once` has it."""
    def paste(match):
        path = find(match[1], folder)
        if path is None:
            raise FileNotFoundError(f"{name} includes \"{match[1]}\", which is neither in {folder} nor in {FOLDER}")
        line = text.count("\n", 0, match.start()) + 2
        if path in seen:
            return ""
        seen.add(path)
        header = pasted(path.read_text(encoding="utf-8"), path.name, path.parent, seen)
        return f'#line 1 "{path.name}"\n{ONCE.sub("//", header)}\n#line {line} "{name}"'
    return INCLUDE.sub(paste, text)


def find(name, folder):
    """The file that an #include names, beside the source or in this folder; None where there is none."""
    return next((p for p in (folder / name, FOLDER / name) if p.is_file()), None)


def options(kernel):
    """NVRTC's options for a kernel: its macros, and the architecture where it needs one by name."""
    return ("-std=c++17", *(f"-D{k}={v}" for k, v in kernel.define.items()), *((f"-arch={kernel.arch}",) if kernel.arch else ()))
