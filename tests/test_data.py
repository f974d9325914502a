"""Datasets, samplers, DataLoader: order, batches, workers that fail, hang and die."""
import collections
import functools
import os
import random
import signal
import time

import numpy as np
import pytest

import minitorch
from minitorch.utils.data import (BatchSampler, ChainDataset, ConcatDataset, DataLoader, Dataset, IterableDataset, RandomSampler, Sampler,
                                  SequentialSampler, StackDataset, Subset, SubsetRandomSampler, TensorDataset, WeightedRandomSampler,
                                  default_collate, default_convert, get_worker_info, random_split)


class Squares(Dataset):
    """Item i is i * i, after `before(i)`."""

    def __init__(self, n=20, before=None):
        self.n, self.before = n, before

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if self.before:
            self.before(i)
        return i * i


class Count(IterableDataset):
    """0 to n - 1, divided among the workers."""

    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        return iter(range(self.n) if info is None else range(info.id, self.n, info.num_workers))


def lists(loader):
    return [b.tolist() if isinstance(b, minitorch.Tensor) else b for b in loader]


def plain(t):
    return np.asarray(t.array).tolist()


# ---- datasets ----------------------------------------------------------------------------------------------

def pairs(n=10):
    return TensorDataset(minitorch.arange(float(n)), minitorch.arange(n))


def test_tensor_dataset_gives_rows():
    x, y = pairs()[3]
    assert (x.item(), y.item(), len(pairs())) == (3.0, 3, 10)
    with pytest.raises(AssertionError, match="Size mismatch"):
        TensorDataset(minitorch.ones(2), minitorch.ones(3))


def test_datasets_join():
    both = Squares(3) + Squares(4)
    assert isinstance(both, ConcatDataset) and [both[i] for i in range(7)] == [0, 1, 4, 0, 1, 4, 9] and both[-1] == 9
    assert list(Count(2) + Count(3)) == [0, 1, 0, 1, 2] and isinstance(Count(2) + Count(3), ChainDataset)
    assert StackDataset(Squares(3), Squares(3))[2] == (4, 4)
    assert StackDataset(a=Squares(3), b=Squares(3))[1] == {"a": 1, "b": 1}
    with pytest.raises(ValueError):
        StackDataset(Squares(3), Squares(4))
    with pytest.raises(AssertionError):
        ConcatDataset([])
    with pytest.raises(ValueError):
        both[-8]


def test_random_split_shares_no_item():
    a, b = random_split(Squares(10), [7, 3], generator=minitorch.Generator().manual_seed(1))
    assert sorted(a.indices + b.indices) == list(range(10)) and len(a) == 7
    assert [len(s) for s in random_split(Squares(11), [0.35, 0.35, 0.3])] == [4, 4, 3]
    again, _ = random_split(Squares(10), [7, 3], generator=minitorch.Generator().manual_seed(1))
    assert again.indices == a.indices
    for wrong in ([3, 3], [0.5, 0.6]):
        with pytest.raises(ValueError, match="Sum of input lengths"):
            random_split(Squares(10), wrong)


# ---- samplers ----------------------------------------------------------------------------------------------

def test_samplers_give_the_orders_they_promise():
    assert list(SequentialSampler(range(4))) == [0, 1, 2, 3]
    assert sorted(RandomSampler(range(50))) == list(range(50))
    assert len(list(RandomSampler(range(3), replacement=True, num_samples=100))) == 100
    assert collections.Counter(RandomSampler(range(4), num_samples=8)) == dict.fromkeys(range(4), 2)
    assert sorted(SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]
    assert set(WeightedRandomSampler([0, 1, 0, 2.0], 100)) == {1, 3}
    assert sorted(WeightedRandomSampler([1, 1, 1], 3, replacement=False)) == [0, 1, 2]
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]] and len(BatchSampler(range(5), 2, False)) == 3
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]] and len(BatchSampler(range(5), 2, True)) == 2


@pytest.mark.parametrize("make, error", [
    (lambda: RandomSampler([]), ValueError), (lambda: RandomSampler([1], replacement=3), TypeError),
    (lambda: RandomSampler([1], num_samples=2.0), ValueError),
    (lambda: WeightedRandomSampler([1], 0), ValueError), (lambda: WeightedRandomSampler([[1]], 1), ValueError),
    (lambda: WeightedRandomSampler([1], 1, 3), ValueError), (lambda: BatchSampler([1], 0, False), ValueError),
    (lambda: BatchSampler([1], True, False), ValueError), (lambda: BatchSampler([1], 1, 3), ValueError),
    (lambda: DataLoader([1], batch_size=0), ValueError), (lambda: DataLoader([1], num_workers=-1), ValueError),
    (lambda: DataLoader([1], timeout=-1), ValueError), (lambda: DataLoader([1], prefetch_factor=2), ValueError),
    (lambda: DataLoader([1], persistent_workers=True), ValueError), (lambda: DataLoader([1], sampler=[0], shuffle=True), ValueError),
    (lambda: DataLoader([1], batch_sampler=[[0]], batch_size=2), ValueError),
    (lambda: DataLoader([1], batch_sampler=[[0]], shuffle=True), ValueError),
    (lambda: DataLoader([1], batch_size=None, drop_last=True), ValueError), (lambda: DataLoader([], shuffle=True), ValueError),
    (lambda: DataLoader(Count(), shuffle=True), ValueError), (lambda: DataLoader(Count(), sampler=[1]), ValueError),
    (lambda: DataLoader(Count(), batch_sampler=[[1]]), ValueError), (lambda: setattr(DataLoader([1]), "batch_size", 3), ValueError),
    (lambda: len(DataLoader(Count())), TypeError), (lambda: Dataset()[0], NotImplementedError),
    (lambda: iter(Sampler()), NotImplementedError),
    (lambda: iter(IterableDataset()), NotImplementedError),
])
def test_bad_arguments_are_refused(make, error):
    with pytest.raises(error):
        make()


# ---- collating ---------------------------------------------------------------------------------------------

def test_default_collate_keeps_structure():
    Point = collections.namedtuple("Point", "x y")
    batch = default_collate([{"a": 1, "b": (2.0, "s"), "c": Point(np.float32(1), [True])}] * 2)
    assert plain(batch["a"]) == [1, 1] and batch["a"].dtype is minitorch.int64
    assert batch["b"][0].dtype is minitorch.float64 and batch["b"][1] == ["s", "s"] or batch["b"][1] == ("s", "s")
    assert type(batch["c"]) is Point and batch["c"].x.dtype is minitorch.float32 and batch["c"].y[0].dtype is minitorch.bool
    assert tuple(default_collate([minitorch.ones(2, 3)] * 4).shape) == (4, 2, 3)
    assert default_convert({"a": np.ones(2)})["a"].dtype is minitorch.float64 and default_convert([1, "s"]) == [1, "s"]


@pytest.mark.parametrize("batch, error", [([None], TypeError), ([[1, 2], [3]], RuntimeError), ([np.array("a")], TypeError), ([object()],
                                                                                                                             TypeError)])
def test_default_collate_refuses(batch, error):
    with pytest.raises(error):
        default_collate(batch)


def test_items_of_unequal_shapes_are_refused_with_their_shapes():
    with pytest.raises(RuntimeError, match=r"\[2\] at entry 0 and \[3\] at entry 1"):
        default_collate([minitorch.ones(2), minitorch.ones(3)])


def test_collating_passes_gradients_on():
    x = minitorch.ones(3, requires_grad=True)
    default_collate([x, x]).sum().backward()
    assert plain(x.grad) == [2, 2, 2]


# ---- loading in this process -------------------------------------------------------------------------------

def test_batches_come_in_order():
    assert lists(DataLoader(Squares(5), 2)) == [[0, 1], [4, 9], [16]]
    assert lists(DataLoader(Squares(5), 2, drop_last=True)) == [[0, 1], [4, 9]]
    assert lists(DataLoader(Squares(3), None)) == [0, 1, 4]
    assert lists(DataLoader(Squares(5), batch_sampler=[[4, 0], [1]])) == [[16, 0], [1]]
    assert lists(DataLoader(Squares(5), 2, sampler=[3, 1, 2])) == [[9, 1], [4]]
    assert lists(DataLoader(Squares(4), 2, collate_fn=list)) == [[0, 1], [4, 9]]
    assert lists(DataLoader(Count(5), 2)) == [[0, 1], [2, 3], [4]] and lists(DataLoader(Count(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert lists(DataLoader(Count(3), None)) == [0, 1, 2]
    assert [len(DataLoader(Squares(5), 2)), len(DataLoader(Squares(5), 2, drop_last=True)), len(DataLoader(Squares(5), None))] == [3, 2, 5]


def test_rows_of_a_tensor_dataset_are_taken_at_once_and_come_out_the_same():
    data = Subset(pairs(20), [3, 1, 4, 1, 5])
    fast = [[plain(t) for t in batch] for batch in DataLoader(data, 2)]
    slow = [[plain(t) for t in batch] for batch in DataLoader(data, 2, collate_fn=lambda items: default_collate(items))]
    assert fast == slow
    x, _ = next(iter(DataLoader(pairs(), 3)))
    x.array[:] = 9                                   # a batch is a copy
    assert plain(next(iter(DataLoader(pairs(), 3)))[0]) == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_follows_from_the_seed_and_changes_every_epoch(workers):
    def epochs():
        loader = DataLoader(Squares(30), 4, shuffle=True, num_workers=workers)
        return [lists(loader) for _ in range(2)]
    minitorch.manual_seed(3)
    one = epochs()
    minitorch.manual_seed(3)
    assert epochs() == one and one[0] != one[1]
    assert sorted(sum(one[0], [])) == [i * i for i in range(30)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_run_again_from_the_state_of_its_generator(workers):
    generator = minitorch.Generator().manual_seed(5)
    loader = DataLoader(Squares(30), 4, shuffle=True, generator=generator, num_workers=workers)
    lists(loader)
    state = generator.get_state()
    second, third = lists(loader), lists(loader)
    generator.set_state(state)
    assert [lists(loader), lists(loader)] == [second, third]


def test_numbers_drawn_while_training_do_not_change_the_order():
    def run(draws):
        loader = DataLoader(Squares(30), 4, shuffle=True, generator=minitorch.Generator().manual_seed(5))
        return [[b.tolist(), [minitorch.rand(1) for _ in range(draws)]][0] for b in loader]
    assert run(0) == run(3)


# ---- workers -----------------------------------------------------------------------------------------------

def slow_at_first(i):
    time.sleep(0.2 if i < 2 else 0)


def test_batches_of_workers_come_in_order_whoever_is_first():
    assert lists(DataLoader(Squares(20, slow_at_first), 2, num_workers=3)) == lists(DataLoader(Squares(20), 2))


def test_workers_divide_an_iterable_dataset():
    assert sorted(sum(lists(DataLoader(Count(11), 2, num_workers=3)), [])) == list(range(11))
    assert lists(DataLoader(Count(6), 2, num_workers=2)) == [[0, 2], [1, 3], [4], [5]]


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_every_way_of_starting_processes_works(start):
    assert lists(DataLoader(Squares(6), 2, num_workers=1, multiprocessing_context=start)) == [[0, 1], [4, 9], [16, 25]]


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def fail(i, error=ValueError):
    if i == 5:
        raise Odd(1, 2) if error is Odd else error("item five is broken")


@pytest.mark.parametrize("error", [ValueError, KeyError, Odd])
def test_an_error_in_a_worker_is_raised_here_with_its_traceback(error):
    loader = iter(DataLoader(Squares(10, functools.partial(fail, error=error)), 2, num_workers=2))
    assert [next(loader).tolist() for _ in range(2)] == [[0, 1], [4, 9]]
    with pytest.raises(RuntimeError if error is Odd else error, match="Caught .* in DataLoader worker process 0") as caught:
        next(loader)
    assert "in fail" in str(caught.value) and "\n" in str(caught.value)
    assert next(loader).tolist() == [36, 49]         # the epoch goes on


def die(i):
    if i == 5:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("dataset", [Squares(40, die)], ids=["killed"])
def test_a_killed_worker_is_an_error_and_no_hang(dataset):
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match=r"worker 0 \(pid \d+\) exited unexpectedly: it was killed by signal 9"):
        lists(DataLoader(dataset, 2, num_workers=2))
    assert time.monotonic() - begin < 10


class Big(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, i):
        return np.full(2_000_000, i, "f4")


def test_a_worker_killed_while_sending_is_an_error_and_no_hang():
    loader = iter(DataLoader(Big(), 1, num_workers=2))
    next(loader)
    time.sleep(0.3)                                  # both are now in the middle of sending 8 MB
    for process in loader.workers.processes:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader)


def test_big_tasks_and_big_batches_do_not_block_each_other():
    loader = DataLoader(Big(), batch_sampler=[[0] * 20] * 6, collate_fn=lambda items: items[0], num_workers=2, prefetch_factor=3)
    assert len(list(loader)) == 6
    tasks = [list(range(60_000))] * 8
    assert len(list(DataLoader(Squares(60_000), batch_sampler=tasks, num_workers=2))) == 8


def leave(i):
    if i == 5:
        os._exit(3)


def test_a_worker_that_exits_is_an_error():
    with pytest.raises(RuntimeError, match="exited with code 3"):
        lists(DataLoader(Squares(40, leave), 2, num_workers=1))


def hang(i):
    time.sleep(60 if i == 3 else 0)


def test_a_timeout_is_kept():
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 0.5 seconds"):
        lists(DataLoader(Squares(8, hang), 2, num_workers=1, timeout=0.5))
    assert time.monotonic() - begin < 10


def test_leaving_an_epoch_early_ends_the_workers():
    loader = iter(DataLoader(Squares(1000), 2, num_workers=2))
    next(loader)
    processes = loader.workers.processes
    del loader
    assert not any(p.is_alive() for p in processes)


class Self(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        info = get_worker_info()
        return [info.id, info.num_workers, info.seed % 1000, random.random(), float(np.random.rand()), float(minitorch.rand(1).array[0]),
                os.getpid()]


def test_workers_are_seeded_differently_and_reproducibly():
    def draw():
        minitorch.manual_seed(0)
        return [[v.array[0].item() for v in b[:-1]] for b in DataLoader(Self(), 1, num_workers=2)]
    one = draw()
    assert draw() == one and get_worker_info() is None
    assert [row[0] for row in one] == [0, 1] * 4 and one[0][3:] != one[1][3:]


def test_persistent_workers_stay():
    loader = DataLoader(Self(), 1, num_workers=2, persistent_workers=True)
    pids = [{b[-1].array[0].item() for b in loader} for _ in range(3)]
    assert len(pids[0]) == 2 and pids[0] == pids[1] == pids[2]
    first = iter(loader)
    next(first)
    assert len(list(loader)) == 8                    # what was left of the epoch before is dropped
    with pytest.raises(RuntimeError, match="one iterator at a time"):
        next(first)


def init(worker, out):
    with open(out, "a") as f:
        f.write(f"{worker}\n")


def fail_to_start(worker):
    raise ValueError("no data here")


def test_worker_init_fn_runs_in_every_worker(tmp_path):
    lists(DataLoader(Squares(4), 1, num_workers=2, worker_init_fn=functools.partial(init, out=tmp_path / "out")))
    assert sorted((tmp_path / "out").read_text().split()) == ["0", "1"]
    with pytest.raises(ValueError, match="no data here"):
        lists(DataLoader(Squares(4), 1, num_workers=1, worker_init_fn=fail_to_start))


class Lambda(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return lambda: i


def test_what_cannot_be_sent_is_an_error():
    with pytest.raises(Exception, match="in DataLoader worker process 0"):
        list(DataLoader(Lambda(), None, num_workers=1))


def test_tensors_of_every_kind_come_through():
    data = [{"x": minitorch.ones(2, dtype=minitorch.bfloat16), "y": [np.float32(1), "s", None]}]
    item, = DataLoader(data, None, num_workers=1)
    assert item["x"].dtype is minitorch.bfloat16 and item["y"][1:] == ["s", None]
