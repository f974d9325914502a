"""A convolutional classifier: DataLoader with workers, batch norm, scheduler, evaluation, accuracy, repr of the network."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from start import normal, record, same, whole
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
                                      nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d((2, 2)))
        self.drop = nn.Dropout(0.0)
        self.head = nn.Linear(8 * 2 * 2, classes)

    def forward(self, x):
        x = torch.flatten(self.features(x), 1)
        return self.head(self.drop(x))


def evaluate(model, loader, device):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            predicted = model(images).argmax(dim=1)
            correct += (predicted == labels).sum().item()
            total += labels.size(0)
    return correct / total


if __name__ != "__main__":
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = TensorDataset(torch.from_numpy(normal(48, 1, 10, 10)), torch.from_numpy(whole(48, high=4)))
    train = DataLoader(data, batch_size=12, shuffle=False, num_workers=2, drop_last=True)
    model = same(Net()).to(device)
    record(str(model), sum(p.numel() for p in model.parameters() if p.requires_grad))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    for epoch in range(4):
        model.train()
        running = 0.0
        for i, (images, labels) in enumerate(train):
            optimizer.zero_grad()
            output = model(images.to(device))
            loss = criterion(output, labels.to(device))
            loss.backward()
            optimizer.step()
            running += loss.item() * images.size(0)
            record(loss.item())
        scheduler.step()
        record(running / len(data), scheduler.get_last_lr()[0], evaluate(model, DataLoader(data, 16), device))
    record(F.softmax(model(data[0][0][None]), dim=-1), model.features[1].running_mean, model.features[1].num_batches_tracked.item())
