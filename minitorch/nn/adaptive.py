"""Softmax over very many classes (Grave et al. 2017): the frequent ones at once, the rare ones in clusters, each with fewer features."""
from collections import namedtuple

from . import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

ASMoutput = namedtuple("ASMoutput", ("output", "loss"))


class AdaptiveLogSoftmaxWithLoss(Module):
    """module(input (N, in_features), target (N,)) -> (log probabilities of the targets, their negative mean).

    cutoffs: the classes at which the clusters begin, ascending.  Cluster i has in_features / div_value^i features.
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if cutoffs != sorted(set(cutoffs)) or min(cutoffs) <= 0 or max(cutoffs) > n_classes - 1 or any(int(c) != c for c in cutoffs):
            raise ValueError("cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
                             "between 1 and n_classes-1")
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        like = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **like)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:]), 1):
            features = int(in_features // div_value ** i)
            self.tail.append(Sequential(Linear(in_features, features, bias=False, **like), Linear(features, high - low, bias=False, **like)))

    def reset_parameters(self):
        """Draw all weights anew."""
        for layer in (self.head, *(layer for cluster in self.tail for layer in cluster)):
            layer.reset_parameters()

    def forward(self, input_, target_):
        if target_.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if input_.ndim != target_.ndim + 1:
            raise RuntimeError(f"{target_.ndim}D target tensor expects {target_.ndim + 1}D input tensors, but found inputs with size "
                               f"{input_.shape}")
        if target_.ndim and input_.shape[0] != target_.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        input, target = (input_, target_) if target_.ndim else (input_.unsqueeze(0), target_.unsqueeze(0))
        if bool(((target < 0) | (target >= self.n_classes)).any()):
            raise RuntimeError(f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                               f"[{target.min().item()}, {target.max().item()}] were found. ")
        column, within = target.clone(), input.new_zeros(target.shape)             # where in the head; log probability within the cluster
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if rows.numel():
                inner = F.log_softmax(self.tail[i](input[rows]), 1)
                column[rows] = self.shortlist_size + i
                within = within.index_copy(0, rows, inner.gather(1, (target[rows] - low).unsqueeze(1)).squeeze(1))
        output = F.log_softmax(self.head(input), 1).gather(1, column.unsqueeze(1)).squeeze(1) + within
        return ASMoutput(output if target_.ndim else output.squeeze(0), -output.mean())

    def log_prob(self, input):
        """The log probabilities of all classes: (N, in_features) -> (N, n_classes)."""
        from .. import cat
        head = F.log_softmax(self.head(input), 1)
        clusters = [F.log_softmax(layers(input), 1) + head[:, self.shortlist_size + i].unsqueeze(1) for i, layers in enumerate(self.tail)]
        return cat([head[:, :self.shortlist_size], *clusters], 1)

    def predict(self, input):
        """The most likely class of each row: within the cluster only where the head prefers a cluster to every frequent class."""
        from .. import where
        best = self.head(input).argmax(1)
        return where(best < self.shortlist_size, best, self.log_prob(input).argmax(1))
