"""The benchmark's statistics on times made up here: how often a repetition lands where the interval says."""
import math

import numpy as np
import pytest

from minitorch.benchmark import interval
from minitorch.benchmark.interval import Interval, of_positive, of_ratio


def series(rng, n, follow, spikes):
    """n times around 10 with 3 % of noise, each resembling the one before by `follow`, and rare slow ones."""
    noise = rng.normal(size=n)
    x = np.empty(n)
    x[0] = noise[0]
    for i in range(1, n):
        x[i] = follow * x[i - 1] + math.sqrt(1 - follow**2) * noise[i]
    return 10 * (1 + 0.03 * x) * np.where(rng.random(n) < spikes, 1 + rng.exponential(1, n), 1)


@pytest.mark.parametrize("rounds, follow, spikes", [(100, 0, 0), (100, 0, 0.1), (100, 0.5, 0.05), (100, 0.9, 0), (100, 0.9, 0.05),
                                                    (24, 0, 0), (24, 0, 0.1), (24, 0.5, 0.05), (24, 0.7, 0.05)])
def test_repetitions_land_in_the_interval(rounds, follow, spikes):
    agree = inside = 0
    for k in range(200):
        rng = np.random.default_rng(k)
        a, b = (of_positive(series(rng, rounds, follow, spikes)) for _ in range(2))
        agree, inside = agree + a.agrees(b), inside + (a.low <= b.median <= a.high)
    assert agree >= 180 and inside >= 170, (agree, inside)            # of 200; 18 of 20 is what is promised


def test_the_interval_is_no_wider_than_it_must_be():
    rng = np.random.default_rng(0)
    widths = [i.high / i.low - 1 for i in (of_positive(series(rng, 100, 0, 0)) for _ in range(50))]
    assert 0.005 < np.median(widths) < 0.04                           # 3 % of noise, 100 rounds: 2 * 1.25 * 2.3 * 0.03 / 10 * sqrt(2) = 0.024


def test_a_slow_moment_that_hits_both_alike_leaves_the_ratio_alone():
    rng = np.random.default_rng(1)
    moment = np.repeat(1 + rng.exponential(1, 10), 10)
    a, b = 20 * moment * rng.normal(1, 0.01, 100), 10 * moment * rng.normal(1, 0.01, 100)
    found = of_ratio(a, b)
    assert found.median == pytest.approx(2, rel=0.01) and found.high / found.low < 1.03 and found.rounds == 100


def test_a_real_difference_is_outside():
    rng = np.random.default_rng(2)
    a, b = (of_positive(scale * series(rng, 100, 0.3, 0.02)) for scale in (1, 1.1))
    assert not a.agrees(b) and not b.agrees(a) and a.agrees(a)


def test_students_quantiles():
    for freedom, expected in ((1, 12.706), (4, 2.776), (9, 2.262), (30, 2.042)):
        assert interval.student(0.95, freedom) == pytest.approx(expected, rel=0.01)


def test_too_few_rounds_have_no_interval():
    with pytest.raises(ValueError, match="too few"):
        of_positive([1.0] * 7)
    same = of_positive([1.0] * 8)
    assert same.low < 1 < same.high and str(Interval(1.234, 1.1, 1.4, 0.95, 8, 0)) == "1.23 (1.1 to 1.4)"
