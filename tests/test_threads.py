"""The threads that share work on large arrays, and NumPy's library of linear algebra beside them."""
import multiprocessing
import os
import threading
import time

import numpy as np
import pytest

import minitorch
from minitorch import awake, backends, blas, matmul, threads


@pytest.fixture
def three_threads():
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(before)


def test_work_is_divided_without_gap_or_overlap(three_threads):
    for n in (0, 1, 2, 3, 10, 1000):
        for least in (1, 7, 400):
            seen = np.zeros(n, int)

            def part(start, stop, seen=seen):
                seen[start:stop] += 1
            threads.run(part, n, least=least)
            assert (seen == 1).all()
            assert len(threads.pieces(n, least)) <= 3 and all(b - a >= min(least, n) for a, b in threads.pieces(n, least))


def test_pieces_run_in_several_threads_and_their_own_work_is_not_divided(three_threads):
    names, inner = set(), []

    def part(start, stop):
        names.add(threading.current_thread().name)
        inner.append(len(threads.pieces(100, 1)))
    threads.run(part, 3)
    assert len(names) == 3 and inner == [1, 1, 1] and len(threads.pieces(100, 1)) == 3


@pytest.mark.parametrize("left, right", [((50, 64, 64), (50, 64, 64)), ((50, 1, 64, 64), (20, 64, 64)), ((1, 64, 64), (300, 64, 64)),
                                         ((4, 40, 64, 32), (4, 1, 32, 64)), ((3, 1, 64, 64), (1, 500, 64, 8)), ((3, 64, 1), (3, 1, 64))])
def test_many_products_are_shared_out(three_threads, left, right):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, shape).astype("f4") for shape in (left, right))
    np.testing.assert_array_equal(matmul(a, b), a @ b)


def test_an_exception_of_a_piece_is_raised_where_the_work_was_given(three_threads):
    def part(start, stop):
        if start == 0:
            raise ValueError("the first piece")
    with pytest.raises(ValueError, match="the first piece"):
        threads.run(part, 3)
    threads.run(lambda start, stop: None, 3)                                  # and the helpers go on


@pytest.mark.parametrize("number", [1, 2, 3])
def test_work_beside_other_work_takes_what_is_ready_in_turn(number):
    before, taken, made = threads.get_num_threads(), [], []

    def first(put):
        for i in range(50):
            made.append(i)
            put(i)
    try:
        threads.set_num_threads(number)
        threads.beside(first, lambda i: taken.append((i, i in made)))
    finally:
        threads.set_num_threads(before)
    assert taken == [(i, True) for i in range(50)]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("failing", ["first", "second"])
def test_an_exception_of_either_is_raised_and_nobody_waits(number, failing):
    before = threads.get_num_threads()

    def first(put):
        put(1)
        if failing == "first":
            raise ValueError("the first")

    def second(item):
        if failing == "second":
            raise ValueError("the second")
    try:
        threads.set_num_threads(number)
        with pytest.raises(ValueError, match=failing):
            threads.beside(first, second)
        threads.run(lambda start, stop: None, number)                         # and the helpers go on
    finally:
        threads.set_num_threads(before)


@pytest.mark.skipif(threads.processor() is None or len(os.sched_getaffinity(0)) < 2, reason="one processor, or a system that does not say which")
def test_helpers_keep_off_the_processor_of_the_one_they_help(three_threads):
    def help_from(processor):                        # in a thread of its own, which alone is moved
        os.sched_setaffinity(0, {processor})
        os.sched_setaffinity(0, everywhere)          # it stays there as long as nobody else wants to
        totals = np.zeros(3, int)

        def part(start, stop):
            totals[start:stop] += 1
        threads.run(part, 3)
        assert (totals == 1).all()
        found.append([(helper.apart_from, os.sched_getaffinity(helper.id)) for helper in threads.helpers[:2]])
    found, everywhere = [], os.sched_getaffinity(0)
    for processor in sorted(everywhere)[:2]:
        thread = threading.Thread(target=help_from, args=(processor,))
        thread.start()
        thread.join()
    assert len(found) == 2
    for helpers in found:
        assert all(mine in everywhere and allowed == everywhere - {mine} for mine, allowed in helpers)


@pytest.mark.skipif(threads.processor() is None, reason="a system that does not say on which processor a thread runs")
def test_one_processor_is_enough(three_threads):
    def part(start, stop):
        totals[start:stop] += 1

    def pinned():
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        threads.run(part, 3)
    totals = np.zeros(3, int)
    thread = threading.Thread(target=pinned)
    thread.start()
    thread.join()
    assert (totals == 1).all()


def test_many_threads_share_the_helpers(three_threads):
    totals = np.zeros(8)

    def caller(i):
        for _ in range(50):
            sums = np.zeros(30)

            def part(start, stop, sums=sums):
                sums[start:stop] = np.arange(start, stop)
            threads.run(part, 30)
            totals[i] += sums.sum()
    callers = [threading.Thread(target=caller, args=(i,)) for i in range(8)]
    [t.start() for t in callers]
    [t.join() for t in callers]
    assert (totals == 50 * 435).all()


def test_who_waits_awake_sees_the_change_and_does_not_wait_for_ever():
    if awake.find is None:
        pytest.skip("waiting awake needs POSIX's lfind and strverscmp")
    box = awake.Box()
    box.looks.value = 1000
    assert box.wait() is None                        # nothing was found
    box.looks.value = 2**62
    threading.Timer(0.02, box.put, ("something",)).start()
    assert box.wait() and box.wait()
    assert box.get() == "something"
    box.looks.value = 1000
    assert box.wait() is None                        # get() looks for what comes next


@pytest.mark.parametrize("find", [awake.find, None])
def test_a_box_hands_over_everything_in_order(monkeypatch, find):
    monkeypatch.setattr(awake, "find", find)
    there, back = awake.Box(), awake.Box()

    def answer():
        while (number := there.get()) is not None:
            back.put(number * number)
    thread = threading.Thread(target=answer)
    thread.start()
    for i in range(200):
        there.put(i)
        if i % 3 == 0:
            time.sleep(i % 5 * 0.0003)                       # it stays awake for about twice as long
    assert [back.get() for _ in range(200)] == [i * i for i in range(200)]
    there.put(None)
    thread.join(60)
    assert not thread.is_alive()


def test_work_given_at_any_moment_of_the_helpers_waiting_is_done(three_threads):
    pauses = np.random.default_rng(0).exponential(0.0003, 400)
    for i, pause in enumerate(pauses):
        done = []
        threads.run(lambda start, stop, done=done: done.append(stop - start), 3 + i % 2)
        assert sum(done) == 3 + i % 2 and len(done) == 3
        time.sleep(pause if i % 3 else 0)
    with pytest.raises(ValueError, match="a piece"):
        threads.run(lambda start, stop: int("a piece"), 3)
    threads.run(lambda start, stop: done.append(0), 3)
    assert done[3:] == [0, 0, 0]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n, k, m", [(600, 200, 300), (300, 200, 600), (2, 3000, 4000), (5000, 4000, 1)])
@pytest.mark.parametrize("loops", ["auto", "never"])
def test_products_divided_by_rows_and_by_columns(three_threads, loops, n, k, m, dtype):
    rng = np.random.default_rng(0)
    a, b, bias = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((n, k), (k, m), m))
    wide = np.zeros((n, 2 * k), dtype)
    wide[:, k:] = a
    with backends.using(loops=loops):
        for x in (a, a.T.copy().T, wide[:, k:], wide[:, ::-1][:, :k][:, ::-1]):
            for y in (b, b.T.copy().T):
                for some in (None, bias, bias[:1], bias[0], np.repeat(bias, 2)[::2]):
                    found = blas.product(x, y, None if some is None else np.asarray(some))
                    assert found.dtype == dtype and found.flags.c_contiguous
                    np.testing.assert_array_equal(found, a @ b if some is None else a @ b + some)          # whole numbers: exact in any order


def test_a_forked_process_starts_its_own_helpers(three_threads):
    threads.run(lambda start, stop: None, 3)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(in_child).get(timeout=60) == 3


def in_child():
    names = set()
    threads.run(lambda start, stop: names.add(threading.current_thread().name), 3)
    return len(names)


@pytest.mark.parametrize("a, b", [((700, 300), (300, 200)), ((200, 300), (300, 700)), ((3000, 90), (90, 90)), ((2, 3), (3, 4)), ((90, 90), (90, 90))])
def test_products_in_parts(three_threads, a, b):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    np.testing.assert_allclose(blas.product(x, y), x @ y, 1e-10, 1e-10)
    np.testing.assert_allclose(blas.product(x.T.copy().T, y), x @ y, 1e-10, 1e-10)
    np.testing.assert_allclose(minitorch.matmul(x, y), x @ y, 1e-10, 1e-10)


def test_the_number_of_threads_of_the_library_is_left_as_it_was(three_threads):
    if not blas.find():
        pytest.skip("NumPy's library of linear algebra is another one")
    assert blas.functions[0]() == 3
    with blas.alone(), blas.alone():
        assert blas.functions[0]() == 1
    assert blas.functions[0]() == 3
    with pytest.raises(ValueError, match="mismatch"):
        blas.product(np.ones((900, 900)), np.ones((800, 900)))
    assert blas.functions[0]() == 3


@pytest.mark.parametrize("K, M", [(1024, 256), (256, 1024), (1024, 250), (1, 32), (1025, 64), (0, 32)])
@pytest.mark.parametrize("rows", [1, 16, 32, 200])
def test_columns_in_blocks_make_up_the_product(K, M, rows):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(rows, K)), rng.normal(size=(K, M))
    parts = blas.weights_in_blocks(w, rows)
    assert all(block.flags.c_contiguous for _, block in parts)
    y = sum((x[:, columns] @ block).swapaxes(0, 1).reshape(rows, M) for columns, block in parts)
    np.testing.assert_allclose(y, x @ w, 1e-10, 1e-10)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8"])
@pytest.mark.parametrize("n", [0, 7, blas.MIXED, 3 * blas.MIXED + 1])
@pytest.mark.parametrize("a, b", [(2, 1), (-3, 2), (0, 2), (2, 0), (1, 0.5)])
def test_sums_of_multiples_in_place(n, a, b, dtype):
    rng = np.random.default_rng(0)
    x, start = 2 * rng.integers(-9, 10, (2, n)).astype(dtype)
    for x_, y in ((x, start.copy()), (np.repeat(x, 2)[::2], start.copy()), (x, np.repeat(start, 2)[::2])):
        if b == 0.5 and dtype == "i8":
            continue
        blas.mix(y, x_, a, b)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, a * x + b * start)                    # whole numbers: exact
    strange = np.full(2 * blas.MIXED, np.nan, "f4")
    blas.mix(strange, np.ones_like(strange), 1, 0)
    assert np.isnan(strange).all()                   # 0 times it, as by NumPy
