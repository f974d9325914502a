"""DataLoader: batches of a dataset, in a reproducible order, made here or by worker processes.

The order is drawn from `generator` at the start of an epoch: with the generator's state of that moment the epoch can be run
again.  Batches come in the order of the sampler, whichever worker is first.
"""
import contextlib
import functools
import itertools
import time
import weakref

from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, drawn_seed
from .worker import BATCH, END, EPOCH, ERROR, STOP, Fetcher, work

FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Iterating gives the batches of one epoch.

    batch_size: items in a batch; None: single items, converted and not collated. shuffle: random order, every epoch another.
    sampler: the order, an iterable of indices; batch_sampler: batches of indices. drop_last: leave out a last, shorter batch.
    collate_fn: makes a batch of a list of items. generator: what random orders and worker seeds are drawn from.
    num_workers: processes that make batches; 0: none, they are made here. prefetch_factor: batches that each worker makes
    ahead (2). timeout: seconds to wait for one; RuntimeError then. worker_init_fn(worker): called in each at its start.
    persistent_workers: keep them from epoch to epoch. An exception in a worker is raised here, with its traceback; a worker
    that dies raises RuntimeError. pin_memory and in_order are accepted and change nothing.
    """

    def __init__(self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None,
                 pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None, generator=None, *,
                 prefetch_factor=None, persistent_workers=False, pin_memory_device="", in_order=True):
        self.iterable = isinstance(dataset, IterableDataset)
        check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        check_order(self.iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            sampler = itertools.repeat(None) if self.iterable else RandomSampler(dataset, generator=generator) if shuffle else \
                SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.num_workers, self.timeout, self.worker_init_fn, self.generator = num_workers, timeout, worker_init_fn, generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers, self.in_order = persistent_workers, in_order
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        if isinstance(multiprocessing_context, str):
            import multiprocessing
            multiprocessing_context = multiprocessing.get_context(multiprocessing_context)
        self.multiprocessing_context = multiprocessing_context
        self.collate_fn = collate_fn if collate_fn is not None else default_collate if batch_sampler is not None else default_convert
        self._workers = None
        self._made = True

    def __setattr__(self, name, value):
        if name in FIXED and getattr(self, "_made", False):
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def order(self):
        """What an epoch goes through: batches of indices, or indices where nothing is batched."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self):
        seed = drawn_seed(self.generator)
        if self.num_workers == 0:
            return here(self)
        if not self.persistent_workers:
            return Epoch(self, Workers(self, seed))
        if self._workers is None or self._workers.closed:
            self._workers = Workers(self, seed)
        return Epoch(self, self._workers)

    def __len__(self):
        if not self.iterable:
            return len(self.order)
        n = len(self.dataset)                        # TypeError where the dataset does not know
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __class_getitem__(cls, item):
        return cls


def check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    """ValueError for worker options that contradict each other."""
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError("prefetch_factor option could only be specified in multiprocessing: let num_workers > 0 to enable "
                         "multiprocessing, otherwise set prefetch_factor to None.")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError("prefetch_factor option should be positive")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def check_order(iterable, batch_size, shuffle, sampler, batch_sampler, drop_last):
    """ValueError for order options that contradict each other."""
    if iterable:
        for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None:
                raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}")
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


def fetcher_maker(loader):
    """A function that makes the Fetcher for a dataset, and that can be pickled."""
    return functools.partial(Fetcher, iterable=loader.iterable, batched=loader.batch_sampler is not None,
                             collate_fn=loader.collate_fn, drop_last=loader.drop_last)


def here(loader):
    """The batches of an epoch, made in this process."""
    fetcher = fetcher_maker(loader)(loader.dataset)
    for indices in loader.order:
        try:
            batch = fetcher.fetch(indices)
        except StopIteration:
            return
        yield batch


class Workers:
    """The worker processes of a loader, and the pipes to and from each."""

    def __init__(self, loader, seed):
        import multiprocessing                       # takes long; most programs have no workers
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self.processes, self.tasks, self.results = [], [], []
        self.epoch, self.closed = 0, False
        self._finalizer = weakref.finalize(self, stop, self.processes, self.tasks)
        for i in range(loader.num_workers):
            task_reader, task_writer = context.Pipe(duplex=False)
            result_reader, result_writer = context.Pipe(duplex=False)
            process = context.Process(target=work, daemon=True, args=(
                task_reader, result_writer, i, loader.num_workers, seed, loader.dataset, fetcher_maker(loader), loader.worker_init_fn))
            process.start()
            task_reader.close()                      # the worker's ends live in the worker alone: when it dies, reading ours ends
            result_writer.close()
            self.processes.append(process)
            self.tasks.append(task_writer)
            self.results.append(result_reader)

    def send(self, worker, message):
        try:
            self.tasks[worker].send(message)
        except OSError:
            self.died(worker)

    def receive(self, worker, timeout):
        """The next answer of `worker`: (epoch, task, kind, content)."""
        from multiprocessing.connection import wait
        pipe, process = self.results[worker], self.processes[worker]
        end = time.monotonic() + timeout if timeout else None
        while not pipe.poll(0):
            ready = wait([pipe, process.sentinel], max(0, end - time.monotonic()) if end else None)
            if not ready:
                self.close()
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            if pipe not in ready and not pipe.poll(0):
                self.died(worker)
        try:
            return pipe.recv()
        except (EOFError, OSError):
            self.died(worker)

    def died(self, worker):
        """RuntimeError for a worker that ended without being told to."""
        process = self.processes[worker]
        process.join(1)
        pid, code = process.pid, process.exitcode
        self.close()
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"exited with code {code}"
        raise RuntimeError(f"DataLoader worker {worker} (pid {pid}) exited unexpectedly: it {how}. Its items may need more memory "
                           "than there is; num_workers=0 shows errors where they arise.") from None

    def close(self):
        """End all workers."""
        self.closed = True
        self._finalizer()


def stop(processes, tasks):
    """Ask workers to end, and end those that do not within moments."""
    for pipe in tasks:
        with contextlib.suppress(OSError):
            pipe.send(STOP)
        pipe.close()
    end = time.monotonic() + 0.5
    for process in processes:
        process.join(max(0, end - time.monotonic()))
        if process.is_alive():
            process.terminate()
            process.join(5)
        if process.is_alive():
            process.kill()
            process.join()


class Epoch:
    """The batches of one epoch, made by workers: handed out in turn, taken back in order."""

    def __init__(self, loader, workers):
        self.loader, self.workers = loader, workers
        workers.epoch += 1
        self.epoch, self.order = workers.epoch, iter(loader.order)
        self.waiting = {}                            # task -> its worker, for tasks that were given out
        self.early = {}                              # task -> (kind, content), for answers that came before their turn
        self.given = self.taken = 0
        self.free = dict.fromkeys(range(loader.num_workers), loader.prefetch_factor)         # how many tasks each may still be given
        self.turn = 0
        if self.epoch > 1:
            for i in range(loader.num_workers):
                workers.send(i, EPOCH)
        for _ in range(loader.prefetch_factor * loader.num_workers):
            self.give()

    def __iter__(self):
        return self

    def __len__(self):
        return len(self.loader)

    def give(self):
        """Give the next indices to the next worker that has room."""
        workers = len(self.workers.processes)
        for _ in range(workers):
            worker, self.turn = self.turn, (self.turn + 1) % workers
            if self.free.get(worker, 0):
                break
        else:
            return
        try:
            indices = next(self.order)
        except StopIteration:
            return
        self.free[worker] -= 1
        self.waiting[self.given] = worker
        self.workers.send(worker, (self.epoch, self.given, indices))
        self.given += 1

    def __next__(self):
        if self.epoch != self.workers.epoch:
            raise RuntimeError("a DataLoader with persistent_workers has one iterator at a time: this one ended when the next began")
        while self.taken < self.given:
            if self.workers.closed:
                raise RuntimeError("the workers of this DataLoader have ended")
            task = self.taken
            while task not in self.early:
                epoch, answered, kind, content = self.workers.receive(self.waiting[task], self.loader.timeout)
                if epoch == self.epoch:
                    self.early[answered] = kind, content
            kind, content = self.early.pop(task)
            worker = self.waiting.pop(task)
            self.taken += 1
            if kind == END:                          # this worker has no more items: its other tasks end the same way
                self.free.pop(worker, None)
                self.give()
                continue
            if worker in self.free:
                self.free[worker] += 1
            self.give()
            if kind == ERROR:
                content.reraise()
            assert kind == BATCH
            return content
        if not self.loader.persistent_workers:
            self.workers.close()
        raise StopIteration
