"""Worker processes of a DataLoader: what runs in one, and how its batches and errors come back.

Each worker has two pipes of its own and no lock that others share, so one that is killed leaves nothing locked:
its pipe ends, and the reader notices.  A thread in the worker sends, so that computing never waits for the reader.
"""
import io
import pickle
import random as python_random
import threading
import traceback

import numpy as np

from ...random import manual_seed
from ...tensor import wrap
from .collate import default_collate
from .dataset import Subset, TensorDataset

STOP, EPOCH = "stop", "epoch"              # messages to a worker, besides (task number, indices)
BATCH, ERROR, END = "batch", "error", "end"            # what it answers: a batch, an error, the end of its iterable dataset


class WorkerInfo:
    """What get_worker_info() tells: id, num_workers, seed, and this worker's copy of the dataset."""

    def __init__(self, id, num_workers, seed, dataset):
        self.id, self.num_workers, self.seed, self.dataset = id, num_workers, seed, dataset

    def __repr__(self):
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed})"


info = None


def get_worker_info():
    """In a worker process its WorkerInfo; None in the main process."""
    return info


class Fetcher:
    """Turns indices into a batch."""

    def __init__(self, dataset, iterable, batched, collate_fn, drop_last):
        self.dataset, self.batched, self.collate_fn, self.drop_last = dataset, batched, collate_fn, drop_last
        self.items = iter(dataset) if iterable else None

    def fetch(self, indices):
        """The batch of the items at `indices`; of an iterable dataset the next len(indices) items, StopIteration at its end."""
        if self.items is not None:
            return self.fetch_next(indices)
        if not self.batched:
            return self.collate_fn(self.dataset[indices])
        if self.collate_fn is default_collate:
            whole = rows(self.dataset, indices)
            if whole is not None:
                return whole
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(indices))
        return self.collate_fn([self.dataset[i] for i in indices])

    def fetch_next(self, indices):
        if not self.batched:
            return self.collate_fn(next(self.items))
        batch = [item for _, item in zip(indices, self.items)]
        if not batch or self.drop_last and len(batch) < len(indices):
            raise StopIteration
        return self.collate_fn(batch)


def rows(dataset, indices):
    """What collating the items of a TensorDataset, or a Subset of one, gives, taken from its tensors at once; None for others."""
    while type(dataset) is Subset:
        dataset, indices = dataset.dataset, [dataset.indices[i] for i in indices]
    if type(dataset) is not TensorDataset or any(t.requires_grad for t in dataset.tensors) or not all(type(i) is int for i in indices):
        return None
    return [wrap(t.array[indices]) for t in dataset.tensors]


class Failure:
    """An exception of a worker, with its traceback as text, to be raised again in the main process."""

    def __init__(self, error, place):
        self.kind = type(error)
        self.text = f"Caught {self.kind.__name__} {place}.\nOriginal {''.join(traceback.format_exception(error))}"

    def reraise(self):
        """Raise the same class of exception with the worker's traceback in its message; RuntimeError where that class cannot be made."""
        try:
            error = KeyError(Text(self.text)) if self.kind is KeyError else self.kind(self.text)
        except Exception:
            error = RuntimeError(self.text)
        raise error from None


class Text(str):
    """A message that KeyError shows with its line breaks."""

    def __repr__(self):
        return str(self)


def packed(answer, place):
    """An answer as bytes; a Failure's where it cannot be pickled."""
    from multiprocessing.reduction import ForkingPickler         # multiprocessing takes long to import; most programs have no workers
    buffer = io.BytesIO()
    try:
        ForkingPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(answer)
    except Exception as error:
        failure = Failure(error, place)
        try:
            return pickle.dumps((*answer[:2], ERROR, failure))
        except Exception:                            # the exception's class itself cannot be pickled
            failure.kind = RuntimeError
            return pickle.dumps((*answer[:2], ERROR, failure))
    return buffer.getbuffer()


def seed_everything(seed, worker):
    """Seed minitorch, Python's random and NumPy for one worker."""
    manual_seed(seed + worker)
    python_random.seed(seed + worker)
    np.random.seed(np.random.SeedSequence([seed, worker]).generate_state(4))


def send_all(answers, pipe):
    """Send what is put into the queue until None comes."""
    while (data := answers.get()) is not None:
        try:
            pipe.send_bytes(data)
        except OSError:                              # the reader has gone
            return


def work(tasks, results, worker, num_workers, seed, dataset, make_fetcher, init_fn):
    """The life of a worker: read (epoch, task, indices) from pipe `tasks`, send (epoch, task, kind, content) to pipe `results`."""
    global info
    import multiprocessing
    import queue
    place = f"in DataLoader worker process {worker}"
    parent = multiprocessing.parent_process()
    answers = queue.SimpleQueue()
    sender = threading.Thread(target=send_all, args=(answers, results), daemon=True)
    sender.start()
    fetcher = failure = None
    try:
        seed_everything(seed, worker)
        info = WorkerInfo(worker, num_workers, seed + worker, dataset)
        if init_fn is not None:
            init_fn(worker)
    except Exception as error:
        failure = Failure(error, place)
    try:
        while True:
            while not tasks.poll(5):
                if not parent.is_alive():
                    return
            message = tasks.recv()
            if message == STOP:
                break
            if message == EPOCH:
                fetcher = None
                continue
            epoch, task, indices = message
            kind, content = BATCH, None
            try:
                if failure is not None:
                    kind, content = ERROR, failure
                else:
                    fetcher = make_fetcher(dataset) if fetcher is None else fetcher
                    content = fetcher.fetch(indices)
            except StopIteration as error:
                kind, content = (END, None) if fetcher is not None and fetcher.items is not None else (ERROR, Failure(error, place))
            except Exception as error:
                kind, content = ERROR, Failure(error, place)
            answers.put(packed((epoch, task, kind, content), place))
    except (KeyboardInterrupt, EOFError, OSError):
        return
    answers.put(None)
    sender.join()
