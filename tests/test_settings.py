"""What programs set at their start, mixed precision, and the GPU's questions where there may be none."""
import subprocess
import sys

import pytest

import minitorch
from minitorch import nn

HAS_GPU = minitorch.cuda.is_available()


def test_plain_names():
    assert minitorch.inf == float("inf") and minitorch.nan != minitorch.nan and minitorch.newaxis is None
    assert abs(minitorch.pi - 3.14159265) < 1e-8 and abs(minitorch.e - 2.7182818) < 1e-7
    assert repr(minitorch.channels_last) == "minitorch.channels_last"
    x = minitorch.ones(2, 3)
    assert x.to(memory_format=minitorch.channels_last) is x and not minitorch.is_complex(x) and not minitorch.is_storage(x)
    assert minitorch.equal(minitorch.spmm(x, x.T), x @ x.T)
    assert minitorch.typename(x) == "torch.FloatTensor"


def test_switches_are_kept():
    minitorch.use_deterministic_algorithms(True, warn_only=True)
    assert minitorch.are_deterministic_algorithms_enabled() and minitorch.is_deterministic_algorithms_warn_only_enabled()
    minitorch.use_deterministic_algorithms(False)
    minitorch.set_float32_matmul_precision("high")
    assert minitorch.get_float32_matmul_precision() == "high"
    minitorch.set_float32_matmul_precision("highest")
    n = minitorch.get_num_threads()
    minitorch.set_num_threads(3)
    assert minitorch.get_num_threads() == 3
    minitorch.set_num_threads(n)
    minitorch.set_default_tensor_type("torch.DoubleTensor")
    assert minitorch.ones(1).dtype is minitorch.float64
    minitorch.set_default_tensor_type(minitorch.FloatTensor)
    minitorch.set_default_device("cpu")
    assert minitorch.get_default_device() == minitorch.device("cpu")
    model = nn.Linear(2, 2)
    assert minitorch.compile(model) is model and minitorch.compile(mode="max-autotune")(model) is model


def test_compilation_leaves_code_as_it_is():
    @minitorch.jit.script
    def twice(x):
        return x + x

    @minitorch.jit.ignore(drop=True)
    def thrice(x):
        return 3 * x

    @minitorch.jit.ignore
    def same(x):
        return x
    assert twice(2) == 4 and thrice(2) == 6 and minitorch.jit.export(same)(2) == minitorch.jit.unused(same)(2) == 2
    assert minitorch.jit.trace(twice, (1,)) is twice and not minitorch.jit.is_scripting()


@pytest.mark.parametrize("act, error", [
    (lambda: minitorch.set_num_threads(0), RuntimeError), (lambda: minitorch.set_num_threads("2"), TypeError),
    (lambda: minitorch.set_float32_matmul_precision("low"), RuntimeError), (lambda: minitorch.set_default_tensor_type("torch.LongTensor"), TypeError),
    (lambda: minitorch.set_default_device("cuda"), NotImplementedError), (lambda: minitorch.amp.autocast("tpu"), RuntimeError),
    (lambda: minitorch.amp.GradScaler("cpu", growth_factor=1.0), AssertionError), (lambda: minitorch.nonsense, AttributeError)])
def test_mistakes_are_refused(act, error):
    with pytest.raises(error):
        act()


def test_the_backends_switches_can_be_set():
    from minitorch.backends import cudnn
    assert cudnn is minitorch.backends.cudnn and cudnn.enabled and not cudnn.benchmark and not cudnn.is_available()
    with cudnn.flags(enabled=False, benchmark=True):
        assert cudnn.benchmark and not cudnn.enabled
    assert cudnn.enabled and not cudnn.benchmark
    minitorch.backends.cuda.matmul.allow_tf32 = True
    assert minitorch.backends.cuda.matmul.allow_tf32 and not minitorch.backends.mps.is_available()
    with minitorch.backends.cuda.sdp_kernel(enable_flash=False):
        assert not minitorch.backends.cuda.flash_sdp_enabled()
    assert minitorch.backends.cuda.flash_sdp_enabled()
    minitorch.backends.cuda.matmul.allow_tf32 = False
    with pytest.raises(AttributeError, match="no family 'tpu'"):
        minitorch.backends.tpu = "kernel"


def test_a_submodule_can_be_the_first_import():
    code = "import minitorch.backends.cudnn as cudnn, minitorch.cuda.amp, minitorch.distributions; cudnn.benchmark = True"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_without_a_gpu_questions_have_answers():
    cuda = minitorch.cuda
    assert cuda.device_count() == 0 and not cuda.is_initialized() and cuda.memory_allocated() == cuda.max_memory_allocated() == 0
    cuda.manual_seed(1), cuda.manual_seed_all(2), cuda.empty_cache()
    for needs in (cuda.current_device, cuda.get_device_name, cuda.synchronize, cuda.get_rng_state, cuda.init, cuda.mem_get_info):
        with pytest.raises(AssertionError, match="CuPy"):
            needs()


def test_a_grad_scaler_skips_what_is_not_finite():
    w = nn.Parameter(minitorch.tensor([1.0]))
    optimizer = minitorch.optim.SGD([w], lr=1.0)
    scaler = minitorch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    for factor, after, scale in ((0.5, 0.5, 8.0), (float("inf"), 0.5, 4.0), (0.25, 0.25, 4.0), (0.25, 0.0, 8.0)):
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert w.item() == after and scaler.get_scale() == scale
    again = minitorch.amp.GradScaler("cpu")
    again.load_state_dict(scaler.state_dict())
    assert again.get_scale() == 8.0
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_mixed_precision_for_a_missing_gpu_is_off_with_a_warning():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        scaler = minitorch.cuda.amp.GradScaler()
    assert not scaler.is_enabled() and scaler.scale(3.0) == 3.0 and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    with pytest.warns(UserWarning, match="CUDA is not available"), minitorch.cuda.amp.autocast():
        assert not minitorch.is_autocast_enabled()
