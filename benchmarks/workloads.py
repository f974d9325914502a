"""What benchmarks/cpu.py times: training steps and the ops they are made of, forward and backward, for any library in PyTorch's names.

    step = WORKLOADS["layer norm"](T)    # T: minitorch or torch; draws inputs, and returns a function that does one step

Every step returns what it computed, the value and then the gradients, so that the libraries can be compared before they are timed.
Inputs are drawn by NumPy from one seed; weights are copied from NumPy too.  Sizes are arguments where benchmarks/growth.py varies them.
"""
import numpy as np

WORKLOADS = {}


def workload(name):
    def enter(make):
        WORKLOADS[name] = make
        return make
    return enter


class Draw:
    """The numbers that every library starts from, as arrays: float32 from the first, so that nothing wider sets the peak of memory."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape, scale=1.0):
        x = self.rng.standard_normal(shape, "f4")
        if scale != 1:
            x *= np.float32(scale)
        return x

    def classes(self, *shape, high):
        return self.rng.integers(0, high, size=shape)

    def weight(self, *shape):
        """A weight small enough for its layer to keep the scale of what it gets, or a bias."""
        return self.normal(*shape, scale=(0.5 / int(np.prod(shape[1:]))) ** 0.5 if len(shape) > 1 else 0.1)


class Inputs:
    """Tensors with the same numbers in every library."""

    def __init__(self, T, seed=0):
        self.T, self.draw = T, Draw(seed)

    def normal(self, *shape, grad=True):
        x = self.T.from_numpy(self.draw.normal(*shape))
        return x.requires_grad_() if grad else x

    def classes(self, *shape, high):
        return self.T.from_numpy(self.draw.classes(*shape, high=high))

    def module(self, module):
        """A module with weights from here."""
        with self.T.no_grad():
            for p in module.parameters():
                p.copy_(self.T.from_numpy(self.draw.weight(*p.shape)))
        return module


def of_function(T, f, leaves):
    """A step that calls f(*leaves) and sends a fixed cotangent back: the result, and the leaves' gradients."""
    with T.no_grad():
        shape = f(*leaves).shape
    g = Inputs(T, 1).normal(*shape, grad=False)

    def step():
        for x in leaves:
            x.grad = None
        y = f(*leaves)
        y.backward(g)
        return [y.detach(), *[x.grad for x in leaves]]
    return step


def of_training(T, model, loss):
    """A training step by Adam: the loss, and the gradients it stepped by."""
    parameters = list(model.parameters())
    opt = T.optim.Adam(parameters, lr=1e-3)

    def step():
        opt.zero_grad()
        value = loss()
        value.backward()
        opt.step()
        return [value.detach(), *[p.grad for p in parameters]]
    return step


# ---- single ops ------------------------------------------------------------------------------------------------

@workload("100 small ops")
def _(T, n=100):
    inputs = Inputs(T)

    def f(x, w):
        for _ in range(n // 5):
            x = (x * w + w).tanh()
            x = (x - w).sin()
        return x
    return of_function(T, f, [inputs.normal(16), inputs.normal(16)])


@workload("matmul")
def _(T):
    inputs = Inputs(T)
    return of_function(T, lambda a, b: a @ b, [inputs.normal(1024, 1024), inputs.normal(1024, 1024)])


def conv(T, x, w, **options):
    inputs = Inputs(T)
    return of_function(T, lambda x, w, b: T.nn.functional.conv2d(x, w, b, **options), [inputs.normal(*x), inputs.normal(*w), inputs.normal(w[0])])


@workload("conv2d")
def _(T, size=32):
    return conv(T, (32, 16, size, size), (32, 16, 3, 3), padding=1)


@workload("conv2d, stride 2")
def _(T):
    return conv(T, (16, 64, 32, 32), (128, 64, 3, 3), stride=2, padding=1)


@workload("conv2d, 8 groups")
def _(T):
    return conv(T, (16, 64, 32, 32), (64, 8, 3, 3), groups=8, padding=1)


@workload("conv2d, depthwise")
def _(T):
    return conv(T, (16, 64, 32, 32), (64, 1, 3, 3), groups=64, padding=1)


@workload("max pool")
def _(T):
    return of_function(T, lambda x: T.nn.functional.max_pool2d(x, 2), [Inputs(T).normal(32, 64, 56, 56)])


@workload("average pool")
def _(T):
    return of_function(T, lambda x: T.nn.functional.avg_pool2d(x, 2), [Inputs(T).normal(32, 64, 56, 56)])


def attention(T, causal, length):
    inputs = Inputs(T)
    q, k, v = (inputs.normal(4, 8, length, 64) for _ in range(3))
    return of_function(T, lambda q, k, v: T.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal), [q, k, v])


@workload("attention")
def _(T, length=512):
    return attention(T, False, length)


@workload("causal attention")
def _(T):
    return attention(T, True, 512)


@workload("LSTM")
def _(T, length=64):
    inputs = Inputs(T)
    layer, x = inputs.module(T.nn.LSTM(128, 256)), inputs.normal(length, 32, 128)
    return of_function(T, lambda x, *weights: layer(x)[0], [x, *layer.parameters()])


@workload("layer norm")
def _(T):
    inputs = Inputs(T)
    x, w, b = inputs.normal(4096, 768), inputs.normal(768), inputs.normal(768)
    return of_function(T, lambda x, w, b: T.nn.functional.layer_norm(x, (768,), w, b), [x, w, b])


@workload("batch norm")
def _(T):
    inputs = Inputs(T)
    x, w, b = inputs.normal(32, 64, 32, 32), inputs.normal(64), inputs.normal(64)
    return of_function(T, lambda x, w, b: T.nn.functional.batch_norm(x, None, None, w, b, training=True), [x, w, b])


@workload("cross entropy")
def _(T):
    inputs = Inputs(T)
    x, y = inputs.normal(2048, 8192), inputs.classes(2048, high=8192)
    return of_function(T, lambda x: T.nn.functional.cross_entropy(x, y), [x])


@workload("GELU, erf")
def _(T):
    return of_function(T, lambda x: T.nn.functional.gelu(x), [Inputs(T).normal(4096, 1024)])


@workload("GELU, tanh")
def _(T):
    return of_function(T, lambda x: T.nn.functional.gelu(x, approximate="tanh"), [Inputs(T).normal(4096, 1024)])


@workload("embedding")
def _(T):
    inputs = Inputs(T)
    index, w = inputs.classes(8192, high=10000), inputs.normal(10000, 256)
    return of_function(T, lambda w: T.nn.functional.embedding(index, w), [w])


@workload("reductions")
def _(T):
    return of_function(T, lambda x: x.sum(1) + x.mean(1) + x.amax(1) + x.std(1) + x.logsumexp(1), [Inputs(T).normal(2048, 1024)])


# ---- training steps --------------------------------------------------------------------------------------------

@workload("MLP + Adam")
def _(T, batch=128):
    nn, inputs = T.nn, Inputs(T)
    model = inputs.module(nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)))
    x, y = inputs.normal(batch, 784, grad=False), inputs.classes(batch, high=10)
    return of_training(T, model, lambda: nn.functional.cross_entropy(model(x), y))


@workload("CNN step")
def _(T, batch=64):
    nn, inputs = T.nn, Inputs(T)
    model = inputs.module(nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                                        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10)))
    x, y = inputs.normal(batch, 1, 28, 28, grad=False), inputs.classes(batch, high=10)
    return of_training(T, model, lambda: nn.functional.cross_entropy(model(x), y))


@workload("ResNet-18 step")
def _(T):
    nn, inputs = T.nn, Inputs(T)

    class Block(nn.Module):
        def __init__(self, n, m, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(n, m, 3, stride, 1, bias=False), nn.BatchNorm2d(m)
            self.conv2, self.bn2 = nn.Conv2d(m, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m)
            self.short = nn.Sequential(nn.Conv2d(n, m, 1, stride, bias=False), nn.BatchNorm2d(m)) if n != m else nn.Identity()

        def forward(self, x):
            y = nn.functional.relu(self.bn1(self.conv1(x)))
            return nn.functional.relu(self.bn2(self.conv2(y)) + self.short(x))

    sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    model = inputs.module(nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *[Block(*s) for s in sizes],
                                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)))
    x, y = inputs.normal(8, 3, 32, 32, grad=False), inputs.classes(8, high=10)
    return of_training(T, model, lambda: nn.functional.cross_entropy(model(x), y))


def transformer(T, batch, length, width, heads, vocabulary=0):
    """A pre-norm block with causal attention (GPT-2's), trained by Adam; with a vocabulary between embedding and output layer."""
    nn, F, inputs = T.nn, T.nn.functional, Inputs(T)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            B, L, D = x.shape
            q, k, v = (t.view(B, L, heads, D // heads).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(D, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(B, L, D))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    layers = [Block()]
    if vocabulary:
        layers = [nn.Embedding(vocabulary, width), *layers, nn.Linear(width, vocabulary, bias=False)]
    model = inputs.module(nn.Sequential(*layers))
    if vocabulary:
        x, y = inputs.classes(batch, length, high=vocabulary), inputs.classes(batch * length, high=vocabulary)
        return of_training(T, model, lambda: F.cross_entropy(model(x).view(batch * length, vocabulary), y))
    x, y = inputs.normal(batch, length, width, grad=False), inputs.normal(batch, length, width, grad=False)
    return of_training(T, model, lambda: F.mse_loss(model(x), y))


@workload("transformer block")
def _(T):
    return transformer(T, batch=8, length=256, width=512, heads=8)


@workload("GPT-2 block")
def _(T):
    return transformer(T, batch=4, length=256, width=768, heads=12)
