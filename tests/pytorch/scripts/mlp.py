"""A regression by hand: autograd, in-place updates under no_grad, weights as bare tensors."""
import torch
from start import normal, record

x, y = torch.from_numpy(normal(64, 5)), torch.from_numpy(normal(64, 1, seed=1))
w1 = torch.tensor(normal(5, 16, seed=2) * 0.4, requires_grad=True)
b1 = torch.zeros(16, requires_grad=True)
w2 = torch.tensor(normal(16, 1, seed=3) * 0.2, requires_grad=True)

for step in range(20):
    hidden = (x @ w1 + b1).clamp(min=0)
    loss = (hidden.mm(w2) - y).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for p in (w1, b1, w2):
            p -= 0.05 * p.grad
            p.grad = None
    record(loss.item())
record(w1, b1, w2, f"{loss:.4f}", float(loss) < 2.0)
