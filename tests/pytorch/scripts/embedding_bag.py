"""Text classification with EmbeddingBag and offsets, random_split, a sampler with weights, embeddings of ids as features."""
import torch
from start import record, same, whole
from torch import nn
from torch.utils.data import DataLoader, Subset, WeightedRandomSampler, random_split

texts = [(int(whole(high=3, seed=i)), torch.tensor(whole(2 + i % 4, high=20, seed=i))) for i in range(24)]


def collate(batch):
    labels, tokens, offsets = [], [], [0]
    for label, ids in batch:
        labels.append(label)
        tokens.append(ids)
        offsets.append(ids.size(0))
    return torch.tensor(labels), torch.cat(tokens), torch.tensor(offsets[:-1]).cumsum(dim=0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(20, 6, mode="mean")
        self.fc = nn.Linear(6, 3)
        self.init_weights()

    def init_weights(self):
        self.embedding.weight.data.uniform_(-0.5, 0.5)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


train, valid = random_split(texts, [20, 4], generator=torch.Generator().manual_seed(0))
record(len(train), len(valid), sorted([*train.indices, *valid.indices]) == list(range(24)))
thirds = random_split(texts, [0.5, 0.25, 0.25])
record([len(t) for t in thirds])
sampler = WeightedRandomSampler([1.0] * 23 + [0.0], num_samples=50, replacement=True)
record(len(list(sampler)), 23 in set(sampler))
model = same(Model())
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.8)
loader = DataLoader(Subset(texts, range(20)), batch_size=5, shuffle=False, collate_fn=collate)
for epoch in range(5):
    for label, text, offsets in loader:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(text, offsets), label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        record(loss.item())
    scheduler.step()
with torch.no_grad():
    label, text, offsets = collate(texts[20:])
    record((model(text, offsets).argmax(1) == label).sum().item())
