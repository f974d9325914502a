"""Boxes: intersection over union, anchors by meshgrid, non-maximum suppression, focal and smooth L1 losses over matched anchors."""
import torch
import torch.nn.functional as F
from start import normal, record, same
from torch import nn


def iou(a, b):
    area = lambda x: (x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1])        # noqa: E731
    lt, rb = torch.max(a[:, None, :2], b[:, :2]), torch.min(a[:, None, 2:], b[:, 2:])
    inter = (rb - lt).clamp(min=0).prod(-1)
    return inter / (area(a)[:, None] + area(b) - inter)


def nms(boxes, scores, threshold):
    order, keep = scores.argsort(descending=True), []
    while order.numel() > 0:
        i = order[0]
        keep.append(i.item())
        if order.numel() == 1:
            break
        order = order[1:][iou(boxes[i][None], boxes[order[1:]])[0] <= threshold]
    return torch.tensor(keep)


def focal(logits, target, alpha=0.25, gamma=2.0):
    ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = torch.sigmoid(logits)
    p_t = p * target + (1 - p) * (1 - target)
    return ((alpha * target + (1 - alpha) * (1 - target)) * (1 - p_t) ** gamma * ce).sum()


ys, xs = torch.meshgrid(torch.arange(4) * 4.0 + 2, torch.arange(4) * 4.0 + 2, indexing="ij")
centres = torch.stack([xs, ys], dim=-1).reshape(-1, 2)
anchors = torch.cat([centres - 3, centres + 3], dim=1)
truth = torch.tensor([[0.0, 0.0, 6.0, 7.0], [8.0, 9.0, 15.0, 15.0]])
overlap = iou(anchors, truth)
best, which = overlap.max(dim=1)
positive = best > 0.3
positive[overlap.argmax(0)] = True
record(overlap, which, positive)
head = same(nn.Conv2d(3, 5, 1))
optimizer = torch.optim.NAdam(head.parameters(), lr=0.02)
features = torch.tensor(normal(1, 3, 4, 4))
for step in range(15):
    out = head(features).permute(0, 2, 3, 1).reshape(-1, 5)
    boxes = anchors + out[:, 1:]
    loss = focal(out[:, 0], positive.float()) + F.smooth_l1_loss(boxes[positive], truth[which[positive]], beta=1.0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    record(loss.item())
record(nms(boxes.detach(), out[:, 0].detach(), 0.5), iou(boxes.detach()[positive], truth).max())
