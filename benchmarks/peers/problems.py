"""The workloads in primitives and layers that every library of this folder can be given: the same numbers as in workloads.py.

L is a library.  L.function(f, leaves) makes a step that computes f(*leaves) and its gradients, L.training(loss, weights, data) one
that computes loss(weights, *data), its gradients, and a step of Adam.  Arrays are drawn in the order of workloads.py.
"""
from workloads import Draw

PROBLEMS = {}


def problem(name):
    def enter(make):
        PROBLEMS[name] = make
        return make
    return enter


# ---- single ops ------------------------------------------------------------------------------------------------

@problem("100 small ops")
def _(L):
    draw = Draw()

    def f(x, w):
        for _ in range(20):
            x = L.tanh(x * w + w)
            x = L.sin(x - w)
        return x
    return L.function(f, [draw.normal(16), draw.normal(16)])


@problem("matmul")
def _(L):
    draw = Draw()
    return L.function(L.matmul, [draw.normal(1024, 1024), draw.normal(1024, 1024)])


def conv(L, x, w, **options):
    draw = Draw()
    return L.function(lambda x, w, b: L.conv2d(x, w, b, **options), [draw.normal(*x), draw.normal(*w), draw.normal(w[0])])


@problem("conv2d")
def _(L):
    return conv(L, (32, 16, 32, 32), (32, 16, 3, 3), padding=1)


@problem("conv2d, stride 2")
def _(L):
    return conv(L, (16, 64, 32, 32), (128, 64, 3, 3), stride=2, padding=1)


@problem("conv2d, 8 groups")
def _(L):
    return conv(L, (16, 64, 32, 32), (64, 8, 3, 3), groups=8, padding=1)


@problem("conv2d, depthwise")
def _(L):
    return conv(L, (16, 64, 32, 32), (64, 1, 3, 3), groups=64, padding=1)


@problem("max pool")
def _(L):
    return L.function(L.max_pool, [Draw().normal(32, 64, 56, 56)])


@problem("average pool")
def _(L):
    return L.function(L.average_pool, [Draw().normal(32, 64, 56, 56)])


@problem("attention")
def _(L):
    draw = Draw()
    return L.function(lambda q, k, v: L.attention(q, k, v, False), [draw.normal(4, 8, 512, 64) for _ in range(3)])


@problem("causal attention")
def _(L):
    draw = Draw()
    return L.function(lambda q, k, v: L.attention(q, k, v, True), [draw.normal(4, 8, 512, 64) for _ in range(3)])


@problem("LSTM")
def _(L):
    draw = Draw()
    weights = [draw.weight(*shape) for shape in ((1024, 128), (1024, 256), (1024,), (1024,))]
    return L.function(L.lstm, [draw.normal(64, 32, 128), *weights])


@problem("layer norm")
def _(L):
    draw = Draw()
    return L.function(L.layer_norm, [draw.normal(4096, 768), draw.normal(768), draw.normal(768)])


@problem("batch norm")
def _(L):
    draw = Draw()
    return L.function(L.batch_norm, [draw.normal(32, 64, 32, 32), draw.normal(64), draw.normal(64)])


@problem("cross entropy")
def _(L):
    draw = Draw()
    x, y = draw.normal(2048, 8192), L.array(draw.classes(2048, high=8192))
    return L.function(lambda x: L.cross_entropy(x, y), [x])


@problem("GELU, erf")
def _(L):
    return L.function(L.gelu, [Draw().normal(4096, 1024)])


@problem("GELU, tanh")
def _(L):
    return L.function(L.gelu_tanh, [Draw().normal(4096, 1024)])


@problem("embedding")
def _(L):
    draw = Draw()
    index, w = L.array(draw.classes(8192, high=10000)), draw.normal(10000, 256)
    return L.function(lambda w: L.take(w, index), [w])


@problem("reductions")
def _(L):
    return L.function(lambda x: L.sum(x, 1) + L.mean(x, 1) + L.max(x, 1) + L.std(x, 1) + L.logsumexp(x, 1), [Draw().normal(2048, 1024)])


# ---- training steps --------------------------------------------------------------------------------------------

@problem("MLP + Adam")
def _(L):
    draw = Draw()
    weights = [draw.weight(*shape) for shape in ((512, 784), (512,), (512, 512), (512,), (10, 512), (10,))]

    def loss(weights, x, y):
        w1, b1, w2, b2, w3, b3 = weights
        return L.cross_entropy(L.linear(L.relu(L.linear(L.relu(L.linear(x, w1, b1)), w2, b2)), w3, b3), y)
    return L.training(loss, weights, [draw.normal(128, 784), draw.classes(128, high=10)])


@problem("CNN step")
def _(L):
    draw = Draw()
    shapes = (32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 1600), (128,), (10, 128), (10,)
    weights = [draw.weight(*shape) for shape in shapes]

    def loss(weights, x, y):
        w1, b1, w2, b2, w3, b3, w4, b4 = weights
        x = L.max_pool(L.relu(L.conv2d(x, w1, b1)))
        x = L.reshape(L.max_pool(L.relu(L.conv2d(x, w2, b2))), (64, 1600))
        return L.cross_entropy(L.linear(L.relu(L.linear(x, w3, b3)), w4, b4), y)
    return L.training(loss, weights, [draw.normal(64, 1, 28, 28), draw.classes(64, high=10)])


@problem("ResNet-18 step")
def _(L):
    draw = Draw()
    blocks = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]

    def conv_norm(n, m, size):
        return [(m, n, size, size), (m,), (m,)]

    shapes = conv_norm(3, 64, 3)
    for n, m, _ in blocks:
        shapes += conv_norm(n, m, 3) + conv_norm(m, m, 3) + (conv_norm(n, m, 1) if n != m else [])
    weights = [draw.weight(*shape) for shape in [*shapes, (10, 512), (10,)]]

    def loss(weights, x, y):
        w = iter(weights)

        def normed(x, stride, padding):
            return L.batch_norm(L.conv2d(x, next(w), stride=stride, padding=padding), next(w), next(w))

        x = L.relu(normed(x, 1, 1))
        for n, m, stride in blocks:
            z = L.relu(normed(x, stride, 1))
            z = normed(z, 1, 1)
            x = L.relu(z + (normed(x, stride, 0) if n != m else x))
        return L.cross_entropy(L.linear(L.mean(L.mean(x, 3), 2), next(w), next(w)), y)
    return L.training(loss, weights, [draw.normal(8, 3, 32, 32), draw.classes(8, high=10)])


def transformer(L, batch, length, width, heads):
    draw = Draw()
    norms, products = [(width,)] * 4, ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width))
    weights = [draw.weight(*shape) for shape in [*norms, *(s for w in products for s in (w, w[:1]))]]

    def loss(weights, x, y):
        n1, m1, n2, m2, qkv, c, out, d, up, e, down, h = weights
        z = L.linear(L.layer_norm(x, n1, m1), qkv, c)
        z = L.transpose(L.reshape(z, (batch, length, 3, heads, width // heads)), (2, 0, 3, 1, 4))     # (q k v, batch, heads, length, size)
        z = L.attention(z[0], z[1], z[2], True)
        x = x + L.linear(L.reshape(L.transpose(z, (0, 2, 1, 3)), (batch, length, width)), out, d)
        x = x + L.linear(L.gelu_tanh(L.linear(L.layer_norm(x, n2, m2), up, e)), down, h)
        d = L.reshape(x - y, (batch * length * width,))
        return L.mean(d * d, 0)
    return L.training(loss, weights, [draw.normal(batch, length, width), draw.normal(batch, length, width)])


@problem("transformer block")
def _(L):
    return transformer(L, batch=8, length=256, width=512, heads=8)


@problem("GPT-2 block")
def _(L):
    return transformer(L, batch=4, length=256, width=768, heads=12)
