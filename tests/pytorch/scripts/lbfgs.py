"""LBFGS with a closure, ReduceLROnPlateau, OneCycleLR, parameter groups added later, a learning rate changed by hand."""
import torch
from start import normal, record, same

torch.set_default_dtype(torch.float64)
x = torch.tensor(normal(40, 3)).double()
y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.tensor(normal(40, 1, seed=2)).double()
model = same(torch.nn.Linear(3, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5, history_size=4, line_search_fn="strong_wolfe")
for step in range(4):
    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss
    record(optimizer.step(closure).item())
record(model.weight)
torch.set_default_dtype(torch.float32)

net = same(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 1)))
optimizer = torch.optim.SGD(net[0].parameters(), lr=0.1)
optimizer.add_param_group({"params": net[2].parameters(), "lr": 0.01, "momentum": 0.9})
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=1, threshold=0.5)
x, y = x.float(), y.float()
for epoch in range(8):
    optimizer.zero_grad(set_to_none=False)
    loss = torch.nn.functional.l1_loss(net(x), y)
    loss.backward()
    optimizer.step()
    plateau.step(loss)
    record(loss.item(), [g["lr"] for g in optimizer.param_groups])
for group in optimizer.param_groups:
    group["lr"] = 0.2
cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=10)
for _ in range(9):
    optimizer.step()
    cycle.step()
    record(cycle.get_last_lr())
