"""Compile CUDA C++ kernels with g++ and run them on NumPy arrays (prototype)."""
import ctypes, hashlib, os, re, subprocess, tempfile
import numpy as np
from pathlib import Path
from ..signature import address
open_text = lambda p: Path(p).read_text()
open_bytes = lambda p: Path(p).read_bytes()
write_text = lambda p, t: Path(p).write_text(t)

HERE = os.path.dirname(os.path.abspath(__file__))
SIM = HERE
CACHE = os.environ.get("CUSIM_CACHE", os.path.expanduser("~/.cache/minitorch-proto"))
_rt = None
CXX = os.environ.get("CUSIM_CXX", "g++")
BASE = [CXX, "-std=c++17", "-fPIC"]
MODES = {  # flags of the three builds
    "fast": ["-O2", "-g1", "-mtls-dialect=gnu2"],
    "native": ["-O3", "-g1", "-march=native", "-mtls-dialect=gnu2"],
    "check": ["-O2", "-g1", "-gdwarf-4", "-ftrivial-auto-var-init=pattern", "-fsanitize=thread", "-fsanitize=bounds,alignment", "--param", "tsan-distinguish-volatile=0"],
    "asan": ["-O1", "-g1", "-fsanitize=address", "-fsanitize=bounds"],
}


_probed = {}


def _flags(flags):  # drop the flags that this compiler does not know
    out, skip = [], False
    for i, f in enumerate(flags):
        if f == "--param":
            skip = True
            f = (f, flags[i + 1])
        elif skip:
            skip = False
            continue
        f = f if isinstance(f, tuple) else (f,)
        if f not in _probed:
            _probed[f] = f[0].startswith(("-O", "-D", "-g1")) or subprocess.run([CXX, "-Werror", *f, "-x", "c++", "-fPIC", "-c", "/dev/null", "-o", "/dev/null"], capture_output=True).returncode == 0
        if _probed[f]:
            out += f
    return out


def _build(key, cmds, out):
    if not os.path.exists(out):
        os.makedirs(CACHE, exist_ok=True)
        for c in cmds:
            r = subprocess.run(c, capture_output=True, text=True)
            if r.returncode:
                raise RuntimeError("compiler failed: %s\n%s" % (" ".join(c), r.stderr))
    return out


def _hash(*parts):
    h = hashlib.sha1()
    for p in parts:
        h.update(p if isinstance(p, bytes) else str(p).encode())
    return h.hexdigest()[:16]


def _read(*names):
    return b"".join(open_bytes(os.path.join(SIM, n)) for n in names)


def runtime():
    global _rt
    if _rt is None:
        out = os.path.join(CACHE, "libcusim-%s.so" % _hash(_read("cusim_rt.cpp", "cusim_rt.h"), BASE))
        tmp = out + ".%d" % os.getpid()
        _build(out, [BASE + _flags(["-O2", "-g1"] + ([] if "clang" in CXX else ["-fopenmp"])) + ["-shared", "-w", os.path.join(SIM, "cusim_rt.cpp"), "-o", tmp],
                     ["mv", tmp, out]], out)
        _rt = ctypes.CDLL(out, mode=ctypes.RTLD_GLOBAL)
        _rt.cusim_report.restype = ctypes.c_char_p
        _rt.cusim_unwritten.restype = ctypes.c_long
    return _rt


class SimError(RuntimeError):
    pass


_EXT = re.compile(r"extern\s+__shared__\s+((?:__align__\s*\([^)]*\)\s*|alignas\s*\([^)]*\)\s*)?)([\w:\s]+?)\s*(\w+)\s*\[\s*\]\s*;")
# "double" build: the same kernel source with float = double, so finite differences are good to 1e-9
_F = "fmax fmin exp exp2 exp10 log log2 log1p expm1 sqrt fabs tanh erf erfc erfinv fma pow sin cos floor ceil rint copysign fmod".split()
_DOUBLE = ("#define float double\n" + "".join("#define float%d double%d\n#define make_float%d make_double%d\n" % (i, i, i, i) for i in (2, 3, 4))
           + "".join("#define %sf %s\n" % (f, f) for f in _F) + "".join("#undef __%sf\n#define __%sf %s\n" % (f, f, f) for f in "exp exp10 log log2 sin cos pow".split())
           + "#define rsqrtf(x) (1.0 / sqrt(x))\n#define __fdividef(a, b) ((a) / (b))\n#define __fmaf_rn fma\n#define __frcp_rn(x) (1.0 / (x))\n#define __fsqrt_rn sqrt\n#define __fadd_rn(a, b) ((a) + (b))\n#define __fmul_rn(a, b) ((a) * (b))\n")
_KER = re.compile(r"__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*|__cluster_dims__\s*\([^)]*\)\s*)*void\s+(?:__launch_bounds__\s*\([^)]*\)\s*|__cluster_dims__\s*\([^)]*\)\s*)*(\w+)\s*\(")


class Module:
    def __init__(self, path, mode="fast", options=(), name_expressions=(), include=(), real="float"):
        runtime()
        self.mode, self.path = mode, path
        src = open_text(path)
        tmpl = set(re.findall(r"template\s*<[^>]*>\s*(?:static\s+)?__global__[^(;{]*?(\w+)\s*\(", src))
        self.names = [n for n in _KER.findall(src) if n not in tmpl] + list(name_expressions)
        # the one construct C++ has no spelling for: dynamic shared memory
        body = _EXT.sub(lambda m: "%s* const %s = (%s*)cusim_dyn();" % (m[2], m[3], m[2]), src)
        gen = '%s#line 1 "%s"\n%s\n#line 1 "cusim-stubs"\n' % (_DOUBLE if real == "double" else "", path, body)
        gen += "#undef float\n"
        gen += "thread_local char cusim_tls_anchor; extern \"C\" __attribute__((visibility(\"default\"))) void *cusim_anchor() { return &cusim_tls_anchor; }\n"
        gen += "".join("CUSIM_EXPORT(%d, %s)\n" % (i, n) for i, n in enumerate(self.names))
        inc = [os.path.dirname(os.path.abspath(path)), os.path.join(SIM, "include")] + list(include)
        deps = b"".join(open_bytes(os.path.join(d, f)) for d in inc[:1] for f in sorted(os.listdir(d)) if f.endswith((".cuh", ".h")))
        h = _hash(gen, deps, _read("cusim.h", "cusim_rt.h"), BASE, MODES[mode], options)
        self.so = os.path.join(CACHE, "%s-%s-%s.so" % (os.path.basename(path)[:-3], mode, h))
        if not os.path.exists(self.so):
            os.makedirs(CACHE, exist_ok=True)
            with tempfile.TemporaryDirectory() as d:
                cpp, o, so = d + "/k.cpp", d + "/k.o", self.so + ".%d" % os.getpid()
                write_text(cpp, gen)
                cc = BASE + _flags(MODES[mode]) + ["-w", "-fvisibility=hidden", "-include", os.path.join(SIM, "cusim.h")]
                cc += ["-I" + i for i in inc] + [x for x in options if x.startswith(("-D", "-I"))] + ["-c", cpp, "-o", o]
                link = [CXX, "-shared", o, "-o", so] + (["-fsanitize=address"] if mode == "asan" else [])
                _build(None, [cc, link, ["mv", so, self.so]], self.so)
        self.lib = ctypes.CDLL(self.so)
        self.fn, self.sig = {}, {}
        for i, n in enumerate(self.names):
            s = getattr(self.lib, "cusim_sig_%d" % i)
            s.restype = ctypes.c_char_p
            self.sig[n] = [(x[0], int(x[1:])) for x in s().decode().split(",") if x]
            self.fn[n] = getattr(self.lib, "cusim_launch_%d" % i)

    _NP = dict(f=np.float32, d=np.float64, i=np.int32, I=np.uint32, q=np.int64, Q=np.uint64, h=np.int16)
    _NP["?"] = np.bool_
    _NP["e"] = np.float16

    def __call__(self, name, grid, block, args, shared_mem=0, cluster=(1, 1, 1), order="forward", async_="lazy",
                 poison=True, threads=2, seed=0, outputs=(), strict=True, workspace=(), inout=()):
        """outputs: indices of arguments that the kernel must write completely (checked in check mode)."""
        rt = runtime()
        sig = self.sig[name]
        if len(sig) != len(args):
            raise TypeError("%s takes %d arguments, got %d" % (name, len(sig), len(args)))
        check = self.mode == "check"
        rt.cusim_clear()
        keep, ptrs, bufs, guarded = [], (ctypes.c_void_p * len(args))(), {}, []
        args, tables, shared = list(args), {}, set()
        if self.mode != "asan":  # copies, 256-byte aligned like the GPU allocator's, between red zones
            tables = {i: [a for a in t if a is not None] for i, t in enumerate(args) if isinstance(t, (list, tuple))}
            reached = [(i, a) for i, t in tables.items() for a in t]       # arrays that the kernel reaches through a table of addresses
            copies, guarded = self._guard([a for _, a in reached] + args, [("P", 8)] * len(reached) + sig)
            args, copies = copies[len(reached):], iter(copies[:len(reached)])
            tables = {i: [next(copies) for _ in t] for i, t in tables.items()}
            for i, t in tables.items():
                where = iter(t)
                args[i] = np.array([0 if a is None else next(where).ctypes.data for a in args[i]], np.uint64)
            shared = {a.ctypes.data for i in inout for a in tables.get(i, [args[i]]) if a is not None}       # written, though const elsewhere
            for i, t in tables.items():
                for a in t:
                    if a.ctypes.data not in bufs:
                        bufs[a.ctypes.data] = len(bufs)
                        flags = 2 if i in outputs or i in workspace else 0 if a.ctypes.data in shared else 1
                        rt.cusim_buffer(ctypes.c_void_p(a.ctypes.data), ctypes.c_size_t(a.nbytes), flags, min(4, a.dtype.itemsize), int(check))
        for i, (a, (c, size)) in enumerate(zip(args, sig)):
            if c in "pP":
                if a is None:
                    v = ctypes.c_void_p(0)
                else:
                    if not isinstance(a, np.ndarray):
                        raise TypeError("argument %d of %s is a pointer, got %r" % (i, name, type(a)))
                    if size and a.dtype.itemsize != size and size not in (8, 16):
                        raise TypeError("argument %d of %s: items of %d bytes, kernel wants %d" % (i, name, a.dtype.itemsize, size))
                    v = ctypes.c_void_p(a.ctypes.data)
                    lo = a.ctypes.data
                    if lo not in bufs:
                        bufs[lo] = len(bufs)
                        flags = 1 if i in tables else 2 if i in outputs or i in workspace else 0 if lo in shared else 1
                        rt.cusim_buffer(ctypes.c_void_p(lo), ctypes.c_size_t(a.nbytes), flags, min(4, a.dtype.itemsize), int(check))
            elif c == "S" or c == "E":
                b = np.ascontiguousarray(a)
                if b.nbytes != size:
                    raise TypeError("argument %d of %s: %d bytes by value, kernel wants %d" % (i, name, b.nbytes, size))
                raw = (ctypes.c_char * (size + 64))()
                off = -ctypes.addressof(raw) % 64
                ctypes.memmove(ctypes.addressof(raw) + off, b.ctypes.data, size)
                keep.append(raw)
                ptrs[i] = ctypes.addressof(raw) + off
                if hasattr(a, "tmap_array"):
                    t = a.tmap_array
                    if t.ctypes.data not in bufs:
                        bufs[t.ctypes.data] = len(bufs)
                        rt.cusim_buffer(ctypes.c_void_p(t.ctypes.data), ctypes.c_size_t(t.nbytes), 0, min(4, t.dtype.itemsize), int(check))
                continue
            else:
                v = np.array(a, dtype=self._NP[c])
                if v.shape != () or (np.asarray(a).dtype.kind == "f" and v.dtype.kind in "iu"):
                    raise TypeError("argument %d of %s: %r does not convert to %s" % (i, name, a, v.dtype))
                keep.append(v)
                ptrs[i] = v.ctypes.data
                continue
            keep.append(v)
            ptrs[i] = ctypes.addressof(v)
        d3 = lambda t: (ctypes.c_uint * 3)(*(tuple(t) + (1, 1, 1))[:3])
        opts = (ctypes.c_long * 6)({"forward": 0, "reverse": 1, "random": 2}[order], {"lazy": 0, "eager": 1, "random": 2}[async_],
                                   int(check), int(poison), threads, seed)
        stats = (ctypes.c_long * 4)()
        rc = rt.cusim_launch(self.fn[name], self.lib.cusim_anchor, ptrs, d3(grid), d3(block), d3(cluster), ctypes.c_size_t(shared_mem), opts, stats)
        self.switches = stats[0]
        text = self._lines(rt.cusim_report().decode())
        for i, (a, raw, view, pads) in enumerate(guarded):
            if any((p != 0xA5).any() for p in pads):
                text += "global-out-of-bounds: a store outside array #%d changed its red zone\n" % i
                rc = 2
            if a.flags.writeable:
                np.copyto(a, view)
        if check and not rc:
            for i in outputs:
                n = sum(rt.cusim_unwritten(bufs[a.ctypes.data]) for a in tables.get(i, [args[i]]))
                if n:
                    text += "unwritten-output: %d elements of argument %d were never written\n" % (n, i)
                    rc = 1
        if rc and strict:
            raise SimError(text)
        self.report = text
        return text

    def profile(self, *a, **kw):
        """Run a check build and count, for block 0 and by source line, shared-memory wavefronts and global 32-byte sectors against their ideal."""
        rt = runtime()
        rt.cusim_profile(1)
        self(*a, strict=False, **kw)
        rows, o, i = {}, (ctypes.c_long * 5)(), 0
        while rt.cusim_profile_get(i, o):
            i += 1
            if o[0] & 0x80000000:
                where = "line %d" % (o[0] & 0x7FFFFFFF)
            else:
                r = subprocess.run(["addr2line", "-e", self.so, hex(o[0] - 1)], capture_output=True, text=True)
                where = "line " + r.stdout.strip().split(":")[-1].split(" ")[0]
            key = (where, ("shared " if not o[4] & 2 else "global ") + ("store" if o[4] & 1 else "load"))
            x = rows.setdefault(key, [0, 0, 0])
            x[0] += o[1]; x[1] += o[2]; x[2] += o[3]
        rt.cusim_profile(0)
        return rows

    @staticmethod
    def _guard(args, sig, pad=4096):
        seen, out, guarded = {}, [], []
        for a, (c, _) in zip(args, sig):
            if c in "pP" and isinstance(a, np.ndarray):
                key = (a.ctypes.data, a.nbytes)
                if key not in seen:
                    raw = np.full(a.nbytes + 2 * pad + 256, 0xA5, np.uint8)
                    lo = pad + (-(raw.ctypes.data + pad)) % 256 + address(a) % 256       # a view that starts amid an array stays unaligned
                    view = raw[lo:lo + a.nbytes].view(a.dtype).reshape(a.shape)
                    view[...] = a
                    seen[key] = view
                    guarded.append((a, raw, view, (raw[:lo], raw[lo + a.nbytes:])))
                a = seen[key]
            out.append(a)
        return out, guarded

    def _lines(self, text):
        pcs = sorted(set(re.findall(r"pc=(0x[0-9a-f]+)", text)))
        for pc in pcs:  # the address after the call: step back one byte
            r = subprocess.run(["addr2line", "-e", self.so, hex(int(pc, 16) - 1)], capture_output=True, text=True)
            text = text.replace("pc=" + pc + "\n", "at " + os.path.relpath(r.stdout.strip().split(" ")[0]) + "\n")
        return text


def tensor_map(a, box, swizzle=128):
    """CPU stand-in for cuTensorMapEncodeTiled on a C-contiguous 2-d..5-d array; box in array order."""
    t = np.zeros(128, np.uint8)
    r = a.ndim
    t[:8].view(np.uint64)[0] = 0x434D4154
    t[8:16].view(np.uint64)[0] = a.ctypes.data
    t[16:24].view(np.uint32)[:] = [r, a.itemsize]
    t[24:64].view(np.uint64)[:r] = a.shape[::-1]
    t[64:96].view(np.uint64)[:r - 1] = a.strides[:-1][::-1]
    t[96:106].view(np.uint16)[:r] = tuple(box)[::-1]
    t[106] = {0: 0, 32: 1, 64: 2, 128: 3}[swizzle]

    class Map(np.ndarray):
        pass
    m = t.view(Map)
    m.tmap_array = a
    return m


def bf16(a):
    u = np.ascontiguousarray(a, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def f32(b):
    return (b.astype(np.uint32) << 16).view(np.float32)
