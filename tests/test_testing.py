"""minitorch.testing: assert_close and make_tensor."""
import subprocess
import sys

import numpy as np
import pytest
from closeness import CLOSE, MADE, outcome

import minitorch
from minitorch.testing import assert_close, make_tensor


@pytest.mark.parametrize("name", [n for n in CLOSE if n.startswith(("equal", "within", "layouts that", "nothing", "infinity", "a range", "no items"))
                                  and "for" not in n])
def test_what_is_close_passes(name):
    assert outcome(CLOSE[name], minitorch) is None


def test_a_message_counts_mistakes_and_says_where_the_greatest_are():
    with pytest.raises(AssertionError) as caught:
        assert_close(minitorch.tensor([1., 2, 3]), minitorch.tensor([1., 4, 5]))
    assert str(caught.value) == ("Tensor-likes are not close!\n\nMismatched elements: 2 / 3 (66.7%)\n"
                                 "Greatest absolute difference: 2.0 at index (1,) (up to 1e-05 allowed)\n"
                                 "Greatest relative difference: 0.5 at index (1,) (up to 1.3e-06 allowed)")


def test_numbers_say_what_was_expected():
    with pytest.raises(AssertionError, match=r"Scalars are not equal!\n\nExpected 2 but got 1\.\nAbsolute difference: 1\nRelative difference: 0\.5$"):
        assert_close(1, 2)


def test_the_place_in_nested_structures_is_said():
    with pytest.raises(AssertionError, match=r"The failure occurred for item \['a'\]\[1\]\['b'\]$"):
        assert_close({"a": [1., {"b": 2.}]}, {"a": (1., {"b": 3.})})


def test_a_wrong_structure_is_found_before_numbers_are_compared():
    with pytest.raises(AssertionError, match="The length of the sequences mismatch: 1 != 0"):
        assert_close([1., [1.]], [2., []])
    with pytest.raises(TypeError, match="No comparison pair was able to handle inputs of type <class 'str'>"):
        assert_close([1., "a"], [2., "a"])


def test_true_is_not_1_unless_dtypes_do_not_matter():
    with pytest.raises(AssertionError, match="dtypes|types"):
        assert_close(True, 1)
    assert_close(True, 1, check_dtype=False)


def test_negative_tolerances_are_refused():
    with pytest.raises(ValueError, match="negative"):
        assert_close(1., 1., rtol=-1., atol=0.)


def test_nan_never_passes_unless_asked_for():
    for x in (float("nan"), minitorch.tensor(float("nan")), minitorch.tensor([float("nan")]), np.array([np.nan])):
        with pytest.raises(AssertionError):
            assert_close(x, x)
        assert_close(x, x, equal_nan=True)


def test_arrays_beyond_the_dtypes_of_tensors_are_compared_too():
    assert_close(np.array([1, 2], "u8"), np.array([1, 2], "u8"))
    with pytest.raises(AssertionError, match="Greatest absolute difference: 1 at"):
        assert_close(np.array([2 ** 64 - 2], "u8"), np.array([2 ** 64 - 1], "u8"))
    with pytest.raises(AssertionError, match=r"1\.0 at index \(0,\) \(up to 1e-07"):
        assert_close(np.array([1j]), np.array([2j]))


def test_made_tensors_have_the_range_of_their_dtype():
    for name, (low, high) in {"float32": (-9, 9), "float16": (-9, 9), "int64": (-9, 9), "uint8": (0, 9), "bool": (0, 1)}.items():
        x = make_tensor(2000, dtype=getattr(minitorch, name)).double()
        assert low <= x.min() < low + 1 and high - 1 < x.max() <= high
    x = make_tensor(2000, dtype=minitorch.bfloat16, low=1, high=1 + 2 ** -7)
    assert (x == 1).all()                            # the end is not in the range, and there is nothing between
    x = make_tensor(2000, dtype=minitorch.float64, low=-np.inf, high=np.inf)
    assert x.isfinite().all() and x.min() < -1e308 and x.max() > 1e308


def test_made_tensors_are_fixed_by_the_seed():
    minitorch.manual_seed(3)
    x = make_tensor(4, dtype=minitorch.float32)
    minitorch.manual_seed(3)
    assert (make_tensor(4, dtype=minitorch.float32) == x).all()


def test_zeros_are_excluded():
    x = make_tensor(200, dtype=minitorch.int64, low=0, high=2, exclude_zero=True)
    assert (x == 1).all()
    assert (make_tensor(9, dtype=minitorch.float32, low=0, high=1e-45, exclude_zero=True) == minitorch.finfo(minitorch.float32).tiny).all()


def test_made_tensors_refuse_what_makes_no_sense():
    with pytest.raises(TypeError, match="'float32' is not supported"):
        make_tensor(2, dtype="float32")
    with pytest.raises(ValueError, match="mutually exclusive"):
        make_tensor(2, dtype=minitorch.float32, noncontiguous=True, memory_format="channels_last")
    with pytest.raises(RuntimeError, match="negative dimension -3"):
        make_tensor(-3, dtype=minitorch.float32)
    with pytest.warns(FutureWarning, match="low==high") as caught:
        assert (make_tensor(3, dtype=minitorch.float32, low=2, high=2) == 2).all()
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", MADE)
def test_making_ends_in_a_tensor_or_in_words(name):
    found = outcome(MADE[name], minitorch)
    assert found[-1] is True or issubclass(found[0], ValueError | RuntimeError) and len(found[1]) > 20


def test_gradcheck_and_testing_are_there_after_import_and_read_when_used():
    look = ("import sys, minitorch; print([n for n in ('minitorch.gradcheck', 'minitorch.testing', 'hypothesis') if n in sys.modules]); "
            "minitorch.gradcheck.check, minitorch.testing.assert_close; print('hypothesis' in sys.modules); minitorch.testing.strategies.shapes()")
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\nFalse\n"


def test_without_hypothesis_the_strategies_say_what_to_install():
    look = "import sys; sys.modules['hypothesis'] = None; from minitorch import testing; testing.assert_close(1, 1); testing.strategies"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert done.stderr.rstrip().endswith("ImportError: minitorch.testing.strategies needs the package hypothesis: pip install hypothesis")
