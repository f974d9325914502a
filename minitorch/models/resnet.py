"""Residual networks (He et al. 2015, "Deep Residual Learning for Image Recognition"), by torchvision's names.

A block computes y = relu(x + f(x)): what its convolutions f learn is the difference from its input, so that a block that
has nothing to add lets its input through, and a gradient reaches the first layer past any number of blocks.  Modules,
parameters and their order are torchvision's: its state dicts load here and ours there.
"""
from .. import nn


def conv3x3(in_planes, out_planes, stride=1, groups=1, dilation=1):
    """A 3 x 3 convolution that keeps the size (at stride 1), without a bias: the norm behind it has one."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, padding=dilation, groups=groups, bias=False, dilation=dilation)


def conv1x1(in_planes, out_planes, stride=1):
    """A linear map of the channels at every pixel."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """relu(x + two 3 x 3 convolutions of x), (N, inplanes, H, W) -> (N, planes, H / stride, W / stride).

    downsample: what brings x to the shape of the sum where the block changes it.
    ValueError for groups or a base_width, NotImplementedError for a dilation: they are Bottleneck's.
    """
    expansion = 1                                    # channels that come out, in units of `planes`

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1, norm_layer=None):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """relu(x + convolutions 1 x 1, 3 x 3, 1 x 1 of x): the middle one, on few channels, is where the work is.

    (N, inplanes, H, W) -> (N, 4 planes, H / stride, W / stride).  The stride is that of the 3 x 3 convolution ("ResNet v1.5").
    groups, base_width: the middle one has planes * base_width / 64 channels in each of so many groups.
    """
    expansion = 4

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1, norm_layer=None):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Images (N, 3, H, W) -> scores (N, num_classes): a 7 x 7 convolution, four stages of blocks, the mean over all pixels, a linear map.

    block: BasicBlock or Bottleneck.  layers: the blocks of each stage.
    zero_init_residual: the last norm of each block starts at 0, so the network starts as the identity (Goyal et al. 2017).
    replace_stride_with_dilation: for stages 2 to 4, whether windows grow apart instead of images growing smaller.
    norm_layer: what makes a norm of a number of channels, by default nn.BatchNorm2d.
    """

    def __init__(self, block, layers, num_classes=1000, zero_init_residual=False, groups=1, width_per_group=64,
                 replace_stride_with_dilation=None, norm_layer=None):
        super().__init__()
        self._norm_layer = norm_layer = norm_layer or nn.BatchNorm2d
        dilate = [False] * 3 if replace_stride_with_dilation is None else replace_stride_with_dilation
        if len(dilate) != 3:
            raise ValueError(f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}")
        self.inplanes, self.dilation, self.groups, self.base_width = 64, 1, groups, width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    if last.weight is not None:
                        nn.init.constant_(last.weight, 0)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        """A stage: its first block changes the number of channels and the size, the others keep them."""
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        downsample, width = None, planes * block.expansion
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(conv1x1(self.inplanes, width, stride), self._norm_layer(width))
        first = block(self.inplanes, planes, stride, downsample, self.groups, self.base_width, before, self._norm_layer)
        self.inplanes = width
        return nn.Sequential(first, *[block(width, planes, groups=self.groups, base_width=self.base_width, dilation=self.dilation,
                                            norm_layer=self._norm_layer) for _ in range(1, blocks)])

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))             # (N, 64, H / 4, W / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))        # (N, 512 expansion, H / 32, W / 32)
        return self.fc(self.avgpool(x).flatten(1))


def made(block, layers, weights, options):
    """The network with random weights; ValueError for torchvision's names of downloads."""
    if weights is not None:
        raise ValueError(f"weights={weights!r}: nothing is downloaded; make the network without weights and load a file of them, "
                         "model.load_state_dict(minitorch.load(FILE))")
    return ResNet(block, layers, **options)


def resnet18(*, weights=None, progress=True, **kwargs):
    """ResNet-18: 11.7 million parameters, 1.8 thousand million multiplications for an image of 224 x 224. Arguments: ResNet's."""
    return made(BasicBlock, [2, 2, 2, 2], weights, kwargs)


def resnet34(*, weights=None, progress=True, **kwargs):
    """ResNet-34: 21.8 million parameters, 3.7 thousand million multiplications for an image of 224 x 224. Arguments: ResNet's."""
    return made(BasicBlock, [3, 4, 6, 3], weights, kwargs)


def resnet50(*, weights=None, progress=True, **kwargs):
    """ResNet-50: 25.6 million parameters, 4.1 thousand million multiplications for an image of 224 x 224. Arguments: ResNet's."""
    return made(Bottleneck, [3, 4, 6, 3], weights, kwargs)


def resnet101(*, weights=None, progress=True, **kwargs):
    """ResNet-101: 44.5 million parameters, 7.8 thousand million multiplications for an image of 224 x 224. Arguments: ResNet's."""
    return made(Bottleneck, [3, 4, 23, 3], weights, kwargs)


def resnet152(*, weights=None, progress=True, **kwargs):
    """ResNet-152: 60.2 million parameters, 11.5 thousand million multiplications for an image of 224 x 224. Arguments: ResNet's."""
    return made(Bottleneck, [3, 8, 36, 3], weights, kwargs)
