"""Older and odder habits: Variable, .data, tensor types, view_as, type_as, expand_as, inplace arithmetic, retain_graph, volatile devices."""
import torch
import torch.nn as nn
import torch.optim as optim
from start import normal, record, same
from torch.autograd import Variable

torch.manual_seed(0)
use_cuda = torch.cuda.is_available()
FloatTensor = torch.cuda.FloatTensor if use_cuda else torch.FloatTensor
x = Variable(torch.from_numpy(normal(8, 4)), requires_grad=True)
y = Variable(torch.LongTensor([0, 1, 1, 0, 1, 0, 0, 1]))
net = same(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2), nn.LogSoftmax(dim=1)))
optimizer = optim.Adadelta(net.parameters(), lr=1.0)
for step in range(10):
    out = net(x)
    loss = nn.NLLLoss()(out, y)
    extra = out.exp().max(1)[0].sum() * 0.01
    optimizer.zero_grad()
    loss.backward(retain_graph=True)
    extra.backward()
    optimizer.step()
    pred = out.data.max(1, keepdim=True)[1]
    correct = pred.eq(y.data.view_as(pred)).cpu().sum()
    record(loss.data.item(), int(correct), x.grad.data.norm())
    x.grad.data.zero_()
m = FloatTensor(2, 3).fill_(1.5)
m.add_(1).mul_(2).sub_(0.5).div_(3).clamp_(0, 1.2)
record(m, m.type().split(".")[-1], m.type_as(torch.LongTensor(1)), torch.ones(3).expand_as(m), m.new(2).size(), m.t().is_contiguous())
record(torch.is_tensor(m), m.nelement(), m.byte(), (m > 1).type(torch.FloatTensor), -m + 1 - m * 2 / 4 ** m, 1 / m, 2 ** m, m @ m.t(), m // 0.5)
acc = torch.zeros(2)
for k in range(3):
    acc = acc + k
    acc += torch.Tensor([1, 2])
record(acc, torch.Tensor([[1, 2], [3, 4]]).inverse(), torch.IntTensor([7]) % 4, torch.tensor(5).item(), torch.tensor([2]).long() + 1)
with torch.set_grad_enabled(False):
    record(net(x).requires_grad)
record(x.detach().cpu().numpy().shape, x.requires_grad, next(net.parameters()).is_leaf, next(net.parameters()).is_cuda)
