"""The part of a dataset that one of several processes reads."""
import math

from ... import distributed
from ...ops.random import randperm
from ...random import Generator
from .sampler import Sampler


class DistributedSampler(Sampler):
    """Every num_replicas-th index from `rank` on, of an order that all processes know: shuffled by `seed` and epoch, or not.

    All parts are of one length: some items are read twice, or (drop_last) the last ones left out.  ValueError for a rank outside
    [0, num_replicas).
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
        rank = distributed.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank, self.epoch = dataset, num_replicas, rank, 0
        self.drop_last, self.shuffle, self.seed = drop_last, shuffle, seed
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last and n >= num_replicas else math.ceil(n / num_replicas) if not drop_last else 0
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        n = len(self.dataset)
        order = randperm(n, generator=Generator().manual_seed(self.seed + self.epoch)).tolist() if self.shuffle else list(range(n))
        if n:
            order = (order * math.ceil(self.total_size / n))[:self.total_size]
        return iter(order[self.rank:self.total_size:self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Shuffle differently from now on: to be called with the epoch's number before each."""
        self.epoch = epoch
