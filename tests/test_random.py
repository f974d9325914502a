"""Random numbers: seeds and states, distributions against their formulas, dropout, and what is refused."""
import math
import pickle

import numpy as np
import pytest
import standin

import minitorch
from minitorch import Generator
from minitorch.autograd.op import HOMES
from minitorch.ops.random import source

functional = HOMES["functional"]
N = 200_000


def equal(a, b):
    return np.array_equal(np.asarray(a.array), np.asarray(b.array))


DRAWS = {
    "rand": lambda g: minitorch.rand(5, generator=g), "randn": lambda g: minitorch.randn(5, generator=g),
    "half": lambda g: minitorch.rand(5, generator=g, dtype=minitorch.float16),
    "randint": lambda g: minitorch.randint(100, (5,), generator=g),
    "randperm": lambda g: minitorch.randperm(20, generator=g), "normal": lambda g: minitorch.normal(0.0, 1.0, (5,), generator=g),
    "normal_of_tensors": lambda g: minitorch.normal(minitorch.zeros(5), minitorch.ones(5), generator=g),
    "bernoulli": lambda g: minitorch.bernoulli(minitorch.full((40,), 0.5), generator=g),
    "multinomial": lambda g: minitorch.multinomial(minitorch.ones(50), 20, generator=g),
    "multinomial_again": lambda g: minitorch.multinomial(minitorch.ones(50), 20, True, generator=g),
    "poisson": lambda g: minitorch.poisson(minitorch.full((20,), 5.0), g), "uniform_": lambda g: minitorch.zeros(5).uniform_(generator=g),
    "binomial": lambda g: minitorch.binomial(minitorch.full((20,), 9.0), minitorch.full((20,), 0.5), g),
    "normal_": lambda g: minitorch.zeros(5).normal_(generator=g), "exponential_": lambda g: minitorch.zeros(5).exponential_(generator=g),
    "geometric_": lambda g: minitorch.zeros(20).geometric_(0.2, generator=g), "cauchy_": lambda g: minitorch.zeros(5).cauchy_(generator=g),
    "log_normal_": lambda g: minitorch.zeros(5).log_normal_(generator=g), "random_": lambda g: minitorch.zeros(5).random_(generator=g),
    "bernoulli_": lambda g: minitorch.zeros(40).bernoulli_(generator=g),
    "rand_like": lambda g: minitorch.rand_like(minitorch.ones(5), generator=g),
    "randn_like": lambda g: minitorch.randn_like(minitorch.ones(5), generator=g),
    "randint_like": lambda g: minitorch.randint_like(minitorch.ones(5), 100, generator=g),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_seed_decides_everything(draw):
    g = Generator().manual_seed(1)
    one, two = draw(g), draw(g)
    assert equal(one, draw(g.manual_seed(1))) and not equal(one, two) and not equal(one, draw(Generator().manual_seed(2)))
    state = g.get_state()
    three = draw(g)
    assert equal(three, draw(g.set_state(state))) and equal(three, draw(Generator().set_state(state)))
    minitorch.manual_seed(1)
    assert equal(one, draw(None))                    # the default generator is one like any other
    before = minitorch.get_rng_state()
    draw(g)
    assert equal(before, minitorch.get_rng_state())


@pytest.mark.parametrize("name", ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"])
def test_dropout_follows_the_default_generator(name):
    x = minitorch.ones(3, 8, 5) if name == "dropout1d" else minitorch.ones(3, 8, 5, 2, 2)

    def drop():
        return functional[name](x, 0.5, True)
    minitorch.manual_seed(1)
    one, two = drop(), drop()
    minitorch.manual_seed(1)
    assert equal(one, drop()) and not equal(one, two)


def test_seeds_are_remembered_and_bounded():
    g = Generator()
    assert g.initial_seed() == Generator().initial_seed() and g.manual_seed(-1).initial_seed() == 2 ** 64 - 1
    assert g.seed() == g.initial_seed() != g.seed()
    assert minitorch.manual_seed(3.7) is minitorch.default_generator and minitorch.initial_seed() == 3
    assert minitorch.seed() == minitorch.initial_seed()
    for seed, error in ((2 ** 64, ValueError), (-2 ** 63 - 1, ValueError), (1.5, RuntimeError), ("a", RuntimeError)):
        with pytest.raises(error):
            g.manual_seed(seed)


def test_states_are_tensors_that_can_be_saved(tmp_path):
    minitorch.manual_seed(0)
    minitorch.randint(10, (3,), dtype=minitorch.int32)           # leaves half a word in the generator
    state = minitorch.get_rng_state()
    assert state.dtype is minitorch.uint8 and minitorch.initial_seed() == 0
    minitorch.save(state, tmp_path / "rng")
    after = minitorch.rand(3)
    minitorch.set_rng_state(minitorch.load(tmp_path / "rng"))
    assert equal(after, minitorch.rand(3))
    with pytest.raises(TypeError):
        minitorch.set_rng_state(minitorch.ones(48))
    with pytest.raises(RuntimeError, match="size 48 but found .* 3"):
        minitorch.set_rng_state(minitorch.zeros(3, dtype=minitorch.uint8))


def test_generators_are_copied_and_pickled_where_they_are():
    g = Generator().manual_seed(4)
    minitorch.rand(3, generator=g)
    copies = [g.clone_state(), pickle.loads(pickle.dumps(g))]
    x = minitorch.rand(3, generator=g)
    assert all(equal(x, minitorch.rand(3, generator=c)) for c in copies)


def test_fork_rng_leaves_no_trace():
    minitorch.manual_seed(0)
    with minitorch.random.fork_rng():
        minitorch.rand(3)
    x = minitorch.rand(3)
    minitorch.manual_seed(0)
    assert equal(x, minitorch.rand(3))


def test_every_device_has_its_generator_and_one_seed_sets_all():
    with standin.installed():
        minitorch.manual_seed(5)
        x = minitorch.rand(3, device="cuda")
        minitorch.manual_seed(5)
        assert np.array_equal(minitorch.rand(3, device="cuda").array.get(), x.array.get())
        assert "cuda" in repr(Generator("cuda"))
        source(None, "cuda")
    del minitorch.random.DEFAULTS["cuda"]


# ---- distributions -------------------------------------------------------------------------------------------

def distance(samples, cdf):
    """Kolmogorov and Smirnov's: the largest difference between the samples' distribution and the formula."""
    x = np.sort(np.asarray(samples, "f8").reshape(-1))
    f = cdf(x)
    n = len(x)
    return max(np.abs(f - np.arange(n) / n).max(), np.abs(f - np.arange(1, n + 1) / n).max())


def normal_cdf(x, mean=0, std=1):
    return 0.5 * (1 + np.vectorize(math.erf)((x - mean) / (std * 2 ** 0.5)))


def big(dtype="float32"):
    return minitorch.empty(N // 4, dtype=getattr(minitorch, dtype))


CONTINUOUS = {
    "rand": (lambda d: minitorch.rand(N // 4, dtype=getattr(minitorch, d)), lambda x: x),
    "randn": (lambda d: minitorch.randn(N // 4, dtype=getattr(minitorch, d)), normal_cdf),
    "uniform_": (lambda d: big(d).uniform_(-1, 3), lambda x: (x + 1) / 4),
    "normal_": (lambda d: big(d).normal_(2, 3), lambda x: normal_cdf(x, 2, 3)),
    "exponential_": (lambda d: big(d).exponential_(2), lambda x: 1 - np.exp(-2 * x)),
    "cauchy_": (lambda d: big(d).cauchy_(1, 2), lambda x: 0.5 + np.arctan((x - 1) / 2) / np.pi),
    "log_normal_": (lambda d: big(d).log_normal_(0.5, 0.25), lambda x: normal_cdf(np.log(x), 0.5, 0.25)),
    "normal": (lambda d: minitorch.normal(minitorch.full((N // 4,), 2.0, dtype=getattr(minitorch, d)), 3.0), lambda x: normal_cdf(x, 2, 3)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_continuous_distributions_follow_their_formulas(name, dtype):
    minitorch.manual_seed(0)
    draw, cdf = CONTINUOUS[name]
    t = draw(dtype)
    assert t.dtype.name == dtype
    assert distance(t.array, cdf) < {"float32": 0.01, "float64": 0.01, "float16": 0.012, "bfloat16": 0.02}[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_rand_never_gives_one(dtype):
    t = minitorch.rand(N, dtype=getattr(minitorch, dtype))
    assert t.array.min() >= 0 and t.array.max() < 1


def frequencies(values, n):
    return np.bincount(np.asarray(values, "i8").reshape(-1), minlength=n)[:n] / np.size(values)


def test_discrete_distributions_follow_their_formulas():
    minitorch.manual_seed(0)
    k = np.arange(12)
    close = dict(atol=0.006, rtol=0)
    np.testing.assert_allclose(frequencies(minitorch.randint(2, 7, (N,)).array, 12), (k >= 2) * (k < 7) / 5, **close)
    np.testing.assert_allclose(frequencies(minitorch.empty(N).random_(2, 7).array, 12), (k >= 2) * (k < 7) / 5, **close)
    np.testing.assert_allclose(frequencies(minitorch.empty(N).geometric_(0.3).array, 12)[1:], 0.7 ** (k[1:] - 1) * 0.3, **close)
    poisson = [math.exp(-3) * 3 ** i / math.factorial(i) for i in range(12)]
    np.testing.assert_allclose(frequencies(minitorch.poisson(minitorch.full((N,), 3.0)).array, 12), poisson, **close)
    binomial = [math.comb(11, i) * 0.3 ** i * 0.7 ** (11 - i) for i in range(12)]
    drawn = minitorch.binomial(minitorch.full((N,), 11.0), minitorch.full((N,), 0.3))
    np.testing.assert_allclose(frequencies(drawn.array, 12), binomial, **close)
    p = minitorch.tensor([0.0, 0.2, 0.5, 1.0])
    rates = np.mean([minitorch.bernoulli(p).array for _ in range(4000)], 0)
    np.testing.assert_allclose(rates, [0, 0.2, 0.5, 1], atol=0.04)
    assert abs(minitorch.empty(N).bernoulli_(0.2).array.mean() - 0.2) < 0.01
    assert abs(minitorch.empty(N, dtype=minitorch.int64).bernoulli_(0.2).array.mean() - 0.2) < 0.01


def test_random_fills_the_range_of_its_dtype():
    assert minitorch.empty(5000, dtype=minitorch.uint8).random_().array.max() == 255
    assert set(minitorch.empty(99, dtype=minitorch.bool).random_().array.tolist()) == {True, False}
    whole = minitorch.empty(5000).random_().array
    assert whole.max() <= 2 ** 24 and (whole == np.round(whole)).all() and whole.max() > 2 ** 23
    assert minitorch.empty(50, dtype=minitorch.int64).random_().array.max() > 2 ** 55
    assert minitorch.empty(5000, dtype=minitorch.float16).random_().array.max() <= 2048


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial_follows_its_weights(replacement):
    minitorch.manual_seed(0)
    weights = minitorch.tensor([[1.0, 0, 3, 4], [0, 0, 0, 1]])
    drawn = np.concatenate([minitorch.multinomial(weights, 1, replacement).array for _ in range(4000)], 1)
    np.testing.assert_allclose(frequencies(drawn[0], 4), [1 / 8, 0, 3 / 8, 4 / 8], atol=0.03)
    assert (drawn[1] == 3).all()
    many = minitorch.multinomial(weights[0] if hasattr(weights, "__getitem__") else minitorch.tensor([1.0, 0, 3, 4]), N, True).array
    np.testing.assert_allclose(frequencies(many, 4), [1 / 8, 0, 3 / 8, 4 / 8], atol=0.01)


def test_multinomial_without_replacement_never_repeats_and_takes_zeros_last():
    weights = minitorch.tensor([[1.0, 0, 3, 4, 2]] * 500)
    picks = minitorch.multinomial(weights, 5).array
    assert (np.sort(picks, 1) == np.arange(5)).all() and (picks[:, -1] == 1).all()
    first_two = minitorch.multinomial(minitorch.tensor([[1.0, 1, 2]] * 20000), 2).array        # P(2 first) = 1/2; P(0 then 2) = 1/4 * 2/3
    assert abs((first_two[:, 0] == 2).mean() - 0.5) < 0.02
    assert abs(((first_two[:, 0] == 0) & (first_two[:, 1] == 2)).mean() - 1 / 6) < 0.02


def test_permutations_are_even():
    minitorch.manual_seed(0)
    p = np.array([minitorch.randperm(4).array for _ in range(6000)])
    np.testing.assert_allclose([frequencies(p[:, i], 4) for i in range(4)], np.full((4, 4), 0.25), atol=0.03)


# ---- no gradient, and writes are counted ------------------------------------------------------------------------

def test_drawing_passes_a_zero_gradient():
    p = minitorch.full((3,), 0.5, requires_grad=True)
    for y in (minitorch.bernoulli(p), minitorch.normal(p, 1.0), minitorch.normal(0.0, p), minitorch.poisson(p)):
        assert y.requires_grad
        p.grad = None
        y.sum().backward()
        assert p.grad.array.tolist() == [0, 0, 0]


def test_writing_over_a_leaf_that_wants_a_gradient_is_refused():
    x = minitorch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x.uniform_()
    with minitorch.no_grad():
        assert x.uniform_() is x and x._version == 1 and x.requires_grad


def test_what_was_overwritten_gets_no_gradient():
    x = minitorch.ones(3, requires_grad=True)
    y = minitorch.as_tensor(x, dtype=minitorch.float64)
    y.normal_()
    y.sum().backward()
    assert x.grad.array.tolist() == [0, 0, 0]


def test_rrelu_draws_a_slope_for_each_negative_element():
    minitorch.manual_seed(0)
    x = minitorch.full((N,), -1.0, requires_grad=True)
    y = functional["rrelu"](x, 0.1, 0.3, training=True)
    slopes = -y.detach().array
    assert 0.1 <= slopes.min() < 0.101 and 0.299 < slopes.max() <= 0.3 and abs(slopes.mean() - 0.2) < 0.001
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, slopes)
    assert functional["rrelu"](minitorch.ones(3), training=True).tolist() == [1, 1, 1]
    np.testing.assert_allclose(functional["rrelu"](-minitorch.ones(3), 0.1, 0.3).array, -0.2)
    with pytest.raises(RuntimeError, match="Lower bound should be less than or equal to the upper bound"):
        functional["rrelu"](x, 0.5, 0.2)


# ---- dropout ---------------------------------------------------------------------------------------------------

def test_dropout_drops_at_its_rate_and_keeps_the_mean():
    minitorch.manual_seed(0)
    y = functional["dropout"](minitorch.ones(N), 0.3).array
    assert abs((y == 0).mean() - 0.3) < 0.01 and abs(y.mean() - 1) < 0.01 and np.unique(y).tolist() == [0, np.float32(1 / 0.7)]


def test_dropout_does_nothing_in_evaluation_and_everything_at_one():
    x = minitorch.ones(4, requires_grad=True)
    assert functional["dropout"](x, 0.5, training=False) is x and functional["dropout"](x, 0.0) is x
    assert functional["dropout"](x, 1.0).array.tolist() == [0, 0, 0, 0]
    assert minitorch.dropout(x, 0.5, False) is x


def test_the_gradient_of_dropout_is_its_mask():
    x = minitorch.ones(100, requires_grad=True)
    y = functional["dropout"](x, 0.5)
    y.sum().backward()
    assert equal(y, x.grad)


def test_dropout_in_place():
    x = minitorch.ones(50)
    y = functional["dropout"](x, 0.5, inplace=True)
    assert y is x and set(x.array.tolist()) == {0, 2} and x._version == 1


@pytest.mark.parametrize("name, shape, channels", [("dropout1d", (6, 5, 4), 2), ("dropout1d", (9, 4), 1), ("dropout2d", (6, 5, 3, 3), 2),
                                                   ("dropout2d", (6, 5, 3), 2), ("dropout3d", (6, 5, 2, 2, 2), 2),
                                                   ("dropout3d", (9, 2, 2, 2), 1),
                                                   ("feature_alpha_dropout", (6, 5, 4), 2)])
def test_channels_are_dropped_whole(name, shape, channels):
    minitorch.manual_seed(0)
    y = functional[name](minitorch.ones(*shape), 0.5, True).array.reshape(*shape[:channels], -1)
    assert (y == y[..., :1]).all() and len(np.unique(y)) == 2


def test_alpha_dropout_keeps_mean_and_variance():
    minitorch.manual_seed(0)
    for p in (0.1, 0.5, 0.9):
        y = functional["alpha_dropout"](minitorch.randn(N), p, True).array
        assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.05
    x = minitorch.ones(3)
    assert functional["alpha_dropout"](x, 0.5) is x


REFUSED = [
    (lambda: minitorch.randn(2, dtype=minitorch.int64), NotImplementedError),
    (lambda: minitorch.rand_like(minitorch.arange(2)), NotImplementedError),
    (lambda: minitorch.randint(5, 2), TypeError), (lambda: minitorch.randint(5, 5, (2,)), RuntimeError),
    (lambda: minitorch.randint(2.5, (2,)), TypeError),
    (lambda: minitorch.randint(300, (2,), dtype=minitorch.uint8), RuntimeError), (lambda: minitorch.randperm(-1), RuntimeError),
    (lambda: minitorch.rand(2, generator=5), TypeError), (lambda: minitorch.normal(0.0, -1.0, (2,)), RuntimeError),
    (lambda: minitorch.normal(0.0, 1.0), TypeError),
    (lambda: minitorch.normal(minitorch.zeros(2), minitorch.ones(3)), RuntimeError),
    (lambda: minitorch.normal(minitorch.zeros(2), -1.0), RuntimeError),
    (lambda: minitorch.bernoulli(minitorch.tensor([1.3])), RuntimeError),
    (lambda: minitorch.bernoulli(minitorch.tensor([1])), NotImplementedError),
    (lambda: minitorch.bernoulli(minitorch.tensor([float("nan")])), RuntimeError),
    (lambda: minitorch.multinomial(minitorch.ones(2), 3), RuntimeError),
    (lambda: minitorch.multinomial(minitorch.ones(2), 0), RuntimeError),
    (lambda: minitorch.multinomial(minitorch.zeros(2), 1), RuntimeError),
    (lambda: minitorch.multinomial(minitorch.tensor([-1.0, 2]), 1), RuntimeError),
    (lambda: minitorch.multinomial(minitorch.tensor([1, 2]), 1), RuntimeError),
    (lambda: minitorch.multinomial(minitorch.ones(2, 2, 2), 1), RuntimeError),
    (lambda: minitorch.poisson(minitorch.tensor([-1.0])), RuntimeError),
    (lambda: minitorch.ones(2).uniform_(2, 1), RuntimeError), (lambda: minitorch.ones(2).normal_(0, -1), RuntimeError),
    (lambda: minitorch.ones(2).exponential_(0), RuntimeError), (lambda: minitorch.arange(2).exponential_(), RuntimeError),
    (lambda: minitorch.ones(2).geometric_(1), RuntimeError), (lambda: minitorch.ones(2).log_normal_(1, -2), RuntimeError),
    (lambda: minitorch.ones(2).cauchy_(1, -1), RuntimeError), (lambda: minitorch.ones(2).random_(5, 5), RuntimeError),
    (lambda: minitorch.ones(2).bernoulli_(1.5), RuntimeError), (lambda: minitorch.ones(3).bernoulli_(minitorch.ones(2) ), RuntimeError),
    (lambda: functional["dropout"](minitorch.ones(2), 1.5), ValueError), (lambda: functional["dropout"](minitorch.ones(2), -1), ValueError),
    (lambda: functional["dropout"](minitorch.arange(2), 0.5), RuntimeError),
    (lambda: functional["dropout1d"](minitorch.ones(2), 0.5), RuntimeError),
    (lambda: functional["dropout"]([1.0], 0.5), TypeError), (lambda: functional["feature_alpha_dropout"](minitorch.ones(2), 0.5, True),
                                                             RuntimeError),
]


@pytest.mark.parametrize("call, error", REFUSED, ids=range(len(REFUSED)))
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()
