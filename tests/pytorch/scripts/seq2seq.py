"""Encoder and decoder with attention: GRU cells, teacher forcing, bmm attention, masked sums, beam of one."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from start import record, same, whole


class Encoder(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width, padding_idx=0)
        self.gru = nn.GRU(width, width, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(2 * width, width)

    def forward(self, x):
        y, h = self.gru(self.embedding(x))
        return y, torch.tanh(self.bridge(torch.cat((h[-2], h[-1]), dim=1)))


class Decoder(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.cell = nn.GRUCell(3 * width, width)
        self.query = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, vocab)

    def forward(self, token, h, memory, mask):
        scores = torch.bmm(memory, self.query(h).unsqueeze(2)).squeeze(2)
        weights = F.softmax(scores.masked_fill(~mask, -1e9), dim=1)
        context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
        h = self.cell(torch.cat([self.embedding(token), context], -1), h)
        return self.out(h), h, weights


encoder, decoder = same(Encoder(11, 8)), same(Decoder(9, 8))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
source, target = torch.from_numpy(whole(6, 7, high=11)), torch.from_numpy(whole(6, 5, high=9, seed=1))
for step in range(12):
    memory, h = encoder(source)
    mask, token, loss = source != 0, torch.zeros(6, dtype=torch.long), 0
    for t in range(target.shape[1]):
        logits, h, weights = decoder(token, h, memory, mask)
        loss += F.nll_loss(F.log_softmax(logits, dim=1), target[:, t])
        token = target[:, t] if step % 2 == 0 else logits.argmax(1).detach()
    optimizer.zero_grad(), loss.backward()
    torch.nn.utils.clip_grad_norm_(decoder.parameters(), 0.5)
    optimizer.step()
    record(loss.item() / target.size(1), weights[0].sum().item())
record(encoder.embedding.weight.grad[0].abs().sum().item())
