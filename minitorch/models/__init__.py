"""Whole networks, by the names under which their published weights are known."""
from .resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
