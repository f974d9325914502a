"""Sequences of different lengths: collate with padding, packing, a two-way LSTM, masked loss, accumulated gradients."""
import torch
import torch.nn as nn
from start import normal, record, same, whole
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

LENGTHS = [5, 3, 7, 2, 4, 6, 1, 5]


class Sequences(Dataset):
    def __len__(self):
        return len(LENGTHS)

    def __getitem__(self, i):
        n = LENGTHS[i]
        return torch.from_numpy(normal(n, 3, seed=i)), torch.from_numpy(whole(n, high=4, seed=i))


def collate(batch):
    xs, ys = zip(*batch)
    return pad_sequence(xs, batch_first=True), pad_sequence(ys, batch_first=True, padding_value=-100), torch.tensor([len(x) for x in xs])


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, 4)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, (h, c) = self.rnn(packed)
        y, n = pad_packed_sequence(y, batch_first=True)
        assert torch.equal(n, lengths)
        return self.out(y), h[-1]


model = same(Tagger())
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loader = DataLoader(Sequences(), batch_size=2, collate_fn=collate)
for epoch in range(5):
    optimizer.zero_grad()
    for i, (x, y, lengths) in enumerate(loader):
        logits, last = model(x, lengths)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.reshape(-1)) / 2
        loss.backward()
        record(loss.item(), last.sum().item())
        if (i + 1) % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
record([tuple(x.shape) for x, _, _ in loader])
