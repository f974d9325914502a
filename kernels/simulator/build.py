"""Compiles kernels, and the simulator's runtime, with the host's C++ compiler; what was compiled is kept by its content.

MINITORCH_CXX        the compiler; else g++, else clang++
MINITORCH_KERNEL_CACHE   the folder for compiled kernels; else minitorch/kernels in XDG_CACHE_HOME or ~/.cache

A file in the cache is named by a hash of everything that went into it, written beside its place and then renamed, so that any
number of processes may build at once.
"""
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .. import signature

HERE = Path(__file__).parent
KERNELS = HERE.parent                                # the folder of kernel.cuh and ptx.cuh
LANGUAGE, RUNTIME = HERE / "language", HERE / "runtime"
NOWHERE = os.path.realpath(HERE)                      # where kernels given as text are compiled: the debugger's table names their folder
OLDEST_GCC = 11

COMMON = ("-std=c++17", "-fPIC", "-O2", "-g1", "-gdwarf-4", "-pthread", "-ffp-contract=off")
KERNEL = (*COMMON, "-w", "-fvisibility=hidden", "-fno-plt", "-fno-math-errno",
          "-fno-strict-aliasing", "-fwrapv", "-fno-finite-loops", "-fno-exceptions",        # what kernels may do though C++ forbids it
          "-fstack-clash-protection")                                    # no large frame steps over the guard page of a stack
HOOKS = ("-fsanitize=thread", ("--param", "tsan-distinguish-volatile=1"), ("--param", "tsan-instrument-func-entry-exit=0"),
         ("-mllvm", "-tsan-distinguish-volatile=1"), ("-mllvm", "-tsan-instrument-func-entry-exit=0"),
         ("-mllvm", "-tsan-instrument-read-before-write=1"))
WRAPPED = tuple(f"-Wl,--wrap={name}" for name in ("memset", "memcpy", "memmove"))        # calls that clang makes of copies of structs
MODES = {                                            # flags that only some compilers know are in tuples of their own
    "fast": (("-mtls-dialect=gnu2",),),
    "volatile": HOOKS,                               # fast, for sources in which a loop may wait for a volatile variable
    "check": (("-ftrivial-auto-var-init=pattern",), *HOOKS, ("-fsanitize=bounds,alignment",)),
    "profile": (*HOOKS, ("-fsanitize-coverage=trace-pc",), "-fno-tree-vectorize"),
}

DYNAMIC = re.compile(r"extern\s+__shared__\s+((?:__align__\s*\([^)]*\)\s*|alignas\s*\([^)]*\)\s*)?)([\w:\s]+?)\s*(\w+)\s*\[\s*\]\s*;")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


class CompilerMissing(RuntimeError):
    """There is no C++ compiler to run kernels on NumPy arrays with."""


class CompileError(RuntimeError):
    """The compiler refuses a kernel's source; the message is its own, by the user's file and line."""


# ---- the compiler -----------------------------------------------------------------------------------------

@functools.cache
def compiler(wanted):
    """(path, its version in words) of the compiler; `wanted`: its name, or None for any.  Raises CompilerMissing."""
    path = next((p for name in ((wanted,) if wanted else ("g++", "clang++")) if (p := shutil.which(name))), None)
    if path is None:
        raise CompilerMissing((f"MINITORCH_CXX names the compiler {wanted!r}, which is not installed" if wanted else "no C++ compiler is installed")
                              + ": kernels run on NumPy arrays once g++ (11 or later) or clang++ is there, as by `apt install g++`; "
                              "on CuPy arrays they need none")
    path = os.path.abspath(path)
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    if "clang" not in version:
        major = subprocess.run([path, "-dumpversion"], capture_output=True, text=True, check=True).stdout.split(".")[0]
        if int(major) < OLDEST_GCC:
            raise CompilerMissing(f"{path} is version {major.strip()}: the simulator needs g++ {OLDEST_GCC} or later, or clang++; "
                                  "MINITORCH_CXX may name another compiler")
    return path, version


def current_compiler():
    return compiler(os.environ.get("MINITORCH_CXX") or None)


@functools.cache
def understood(path, version, flags):
    """Of flags that not every compiler knows (tuples), those that this one does."""
    file = cache() / f"flags-{digest(path, version, flags)}.json"
    with contextlib.suppress(OSError, ValueError):
        return tuple(json.loads(file.read_text()))
    found = []
    for flag in flags:
        if isinstance(flag, str):
            found.append(flag)
        else:
            command = [path, "-Werror", *flag, "-x", "c++", "-fPIC", "-c", "/dev/null", "-o", "/dev/null"]
            if not subprocess.run(command, capture_output=True).returncode:
                found += flag
    write(file, lambda temporary: temporary.write_text(json.dumps(found)))
    return tuple(found)


# ---- the cache ----------------------------------------------------------------------------------------------

def cache():
    """The folder of compiled kernels, made if need be; one for this process alone where it cannot be written."""
    chosen = os.environ.get("MINITORCH_KERNEL_CACHE")
    folder = Path(chosen).absolute() if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "minitorch" / "kernels"
    return prepared(folder)


@functools.cache
def prepared(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="minitorch-kernels-"))


def digest(*parts):
    h = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()[:20]


def write(file, make):
    """`make(path)` writes a file beside the place of `file`, which then takes that place at once."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.stem + "-", suffix=file.suffix)
    os.close(handle)
    try:
        make(Path(temporary))
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def built(name, command, text=None, folder=None):
    """The library `name` in the cache; where it is missing, `command` (with the name of its output behind it), run in a folder, builds it
    from `text`.
    """
    file = cache() / name
    if file.exists():
        return file
    with open(file.with_suffix(".lock"), "w") as lock:           # one process builds, others wait for it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            def run(temporary):
                done = subprocess.run([*command, "-o", str(temporary)], input=text, capture_output=True, text=True, cwd=folder)
                if done.returncode:
                    raise CompileError(done.stderr)
            write(file, run)
    with contextlib.suppress(OSError):
        os.unlink(lock.name)
    return file


# ---- sources ------------------------------------------------------------------------------------------------

def texts(folder):
    return [p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()]


@functools.cache
def language():
    """What every compiled kernel depends on: the language headers and the runtime's interface."""
    return digest(*texts(LANGUAGE), (RUNTIME / "interface.h").read_bytes())


@functools.cache
def runtime():
    """The path of the compiled runtime."""
    path, version = current_compiler()
    command = [path, *COMMON, "-Wall", "-Wextra", "-shared", str(RUNTIME / "runtime.cpp")]
    try:
        return built(f"runtime-{digest(version, COMMON, *texts(RUNTIME))}.so", command)
    except CompileError as error:
        raise RuntimeError(f"the simulator's runtime does not compile with {version}:\n{error}") from None


def included(text, folder, seen):
    """The texts of the headers that `text` includes from its own folder or this package, and of theirs."""
    for name in INCLUDE.findall(text):
        path = next((p for p in (folder / name, KERNELS / name) if p.is_file()), None)
        if path and path not in seen:
            seen[path] = path.read_text(encoding="utf-8")
            included(seen[path], path.parent, seen)
    return seen


def name_of(kernel):
    """How messages call a kernel's source."""
    return str(kernel.path) if kernel.path else f"{kernel.name}.cu"


def complete(kernel, names):
    """The text for the compiler: macros; dynamic shared memory, for which C++ has no word, as a pointer; and the kernels made known."""
    body = DYNAMIC.sub(lambda m: f"{m[2]}* const {m[3]} = ({m[2]}*)cusim_dynamic_shared();", kernel.text)
    exports = "".join(f"CUSIM_EXPORT({name})\n" for name in names)
    macros = {**kernel.define, **({"CLUSTER": ",".join(map(str, kernel.cluster))} if kernel.cluster != (1, 1, 1) else {})}
    defines = "".join(f"#define {k} {v}\n" for k, v in macros.items())          # behind the language headers, which know nothing of them
    return f'{defines}#line 1 "{name_of(kernel)}"\n{body}\n#line 1 "exports"\n#undef float\n{exports}'


def library(kernel, mode, double, names=None):
    """The path of a kernel's source compiled for a mode (MODES); double: with `float` as double.  Raises CompileError.

    names: the kernels of the source to make known; all by default.
    """
    path, version = current_compiler()
    text = complete(kernel, names or list(signature.parse(kernel.text)))
    folder = kernel.path.parent if kernel.path else KERNELS
    flags = [*KERNEL, *understood(path, version, MODES[mode]), "-include", str(LANGUAGE / "cuda.h")]
    flags += ["-include", str(LANGUAGE / "double.h")] if double else []
    flags += WRAPPED if mode != "fast" and "clang" in version else ()
    flags += ["-iquote", str(folder), "-iquote", str(KERNELS), "-I", str(LANGUAGE / "include")]
    headers = included(kernel.text, folder, {})
    stem = kernel.path.stem if kernel.path else kernel.name
    command = [path, *flags, "-x", "c++", "-shared", "-nodefaultlibs", "-"]        # hooks and C library come with the runtime
    place = () if kernel.path else (NOWHERE,)
    key = digest(version, language(), text, *headers.values(), *command, *place)
    try:
        return built(f"{stem}-{mode}{'-double' if double else ''}-{key}.so", command, text, *place)
    except CompileError as error:
        if names is None and "exports:" in str(error):           # some are there for other macros only
            return library(kernel, mode, double, (kernel.name,))
        raise CompileError(f"{kernel!r} does not compile in the simulator:\n{error}") from None
