"""A conditional random field over a chain of tags (Lafferty et al. 2001): the score of a whole sequence, not of each tag on its own.

score(tags) = start + sum of emissions + sum of transitions from tag to tag + end;  p(tags) = exp(score) / Z, with Z the sum over all
K^T sequences.  Both Z (by logsumexp) and the best sequence (by max, Viterbi 1967) come step by step along the chain in T K^2 operations.
"""
import minitorch as torch
from minitorch import nn


class CRF(nn.Module):
    """Emissions are (N, T, K), tags (N, T), mask (N, T): true for the steps of a sequence, first steps first, and false for padding."""

    def __init__(self, tags):
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(tags, tags))                # from the row's tag to the column's
        self.start, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))

    def forward(self, emissions, tags, mask):
        """-log p of the tags, (N,)."""
        return self.log_partition(emissions, mask) - self.score(emissions, tags, mask)

    def score(self, emissions, tags, mask):
        """The score of given tags, (N,)."""
        here = emissions.gather(2, tags.unsqueeze(2)).squeeze(2) * mask                    # (N, T)
        steps = self.transitions[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]                  # (N, T - 1)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)                    # (N,)
        return self.start[tags[:, 0]] + here.sum(1) + steps.sum(1) + self.end[last]

    def log_partition(self, emissions, mask):
        """log Z, (N,): alpha[n, k] is the logsumexp of the scores of all beginnings that end with tag k."""
        alpha = self.start + emissions[:, 0]
        for t in range(1, emissions.shape[1]):
            longer = (alpha.unsqueeze(2) + self.transitions).logsumexp(1) + emissions[:, t]
            alpha = torch.where(mask[:, t:t + 1], longer, alpha)
        return (alpha + self.end).logsumexp(1)

    def best(self, emissions, mask):
        """The tags with the highest score, (N, T), by Viterbi's algorithm; 0 at the padding."""
        alpha, parents = self.start + emissions[:, 0], []
        for t in range(1, emissions.shape[1]):
            longer, parent = (alpha.unsqueeze(2) + self.transitions).max(1)                # (N, K) each
            inside = mask[:, t:t + 1]
            alpha = torch.where(inside, longer + emissions[:, t], alpha)
            parents.append(torch.where(inside, parent, torch.arange(parent.shape[1])))     # in the padding a tag is its own parent
        tags = [(alpha + self.end).argmax(1, keepdim=True)]
        for parent in reversed(parents):
            tags.append(parent.gather(1, tags[-1]))
        return torch.cat(tags[::-1], 1) * mask
