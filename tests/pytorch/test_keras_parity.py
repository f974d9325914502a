"""minitorch.keras beside Keras 3 itself, on its PyTorch backend: the same weights give the same outputs, gradients and training."""
import importlib.util
import os
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
if importlib.util.find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras

if keras.backend.backend() != "torch":
    pytest.skip("Keras runs on another backend than PyTorch", allow_module_level=True)

from minitorch import keras as ours  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")          # Keras' own
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype("f4")


def close(a, b, rtol=2e-4, atol=2e-5):
    np.testing.assert_allclose(np.asarray(a, "f8"), np.asarray(b, "f8"), rtol=rtol, atol=atol)


# ---- layers -------------------------------------------------------------------------------------------------

IMAGE, SERIES = (2, 7, 6, 3), (3, 8, 4)
LAYERS = [
    ("Dense", dict(units=5, activation="tanh"), (3, 4)),
    ("Dense", dict(units=2, use_bias=False), (2, 3, 4)),
    *[("Conv2D", dict(filters=4, kernel_size=k, strides=s, padding=p), IMAGE) for k in (1, 2, 3, (3, 2)) for s in (1, 2) for p in
      ("valid", "same")],
    ("Conv2D", dict(filters=6, kernel_size=3, groups=3, activation="relu"), IMAGE),
    ("Conv2D", dict(filters=4, kernel_size=3, dilation_rate=2, padding="same"), IMAGE),
    *[("Conv1D", dict(filters=5, kernel_size=3, strides=s, padding=p), SERIES) for s in (1, 3) for p in ("valid", "same", "causal")],
    ("Conv3D", dict(filters=2, kernel_size=2, padding="same"), (1, 4, 3, 5, 2)),
    *[("Conv2DTranspose", dict(filters=4, kernel_size=k, strides=s, padding=p), IMAGE) for k, s in ((3, 1), (3, 2), (4, 2), (2, 2), (5, 3))
      for p in ("valid", "same")],
    ("DepthwiseConv2D", dict(kernel_size=3, depth_multiplier=2), IMAGE),
    ("SeparableConv2D", dict(filters=5, kernel_size=3, padding="same"), IMAGE),
    ("SeparableConv1D", dict(filters=5, kernel_size=3), SERIES),
    *[("MaxPooling2D", dict(pool_size=k, strides=s, padding=p), IMAGE) for k, s in ((2, None), (3, 2), ((2, 3), 1)) for p in ("valid", "same")],
    *[("MaxPooling1D", dict(pool_size=3, strides=2, padding=p), SERIES) for p in ("valid", "same")],
    # Means: where "same" pads one side more, Keras on PyTorch repeats the edge, on its other backends it leaves the padding out, as here.
    *[("AveragePooling2D", dict(pool_size=k, strides=s, padding=p), (2, 7, 7, 3)) for k, s, p in
      ((2, None, "valid"), (3, 2, "same"), ((2, 3), 1, "valid"), (3, 1, "same"))],
    *[("AveragePooling1D", dict(pool_size=3, strides=s, padding=p), (3, 9, 4)) for s in (1, 2) for p in ("valid", "same")],
    *[(name, kwargs, IMAGE) for name in ("GlobalMaxPooling2D", "GlobalAveragePooling2D") for kwargs in ({}, dict(keepdims=True))],
    *[(name, {}, SERIES) for name in ("GlobalMaxPooling1D", "GlobalAveragePooling1D", "Flatten", "Softmax", "ReLU", "LeakyReLU", "ELU",
                                      "PReLU")],
    ("ReLU", dict(max_value=1.0, negative_slope=0.1, threshold=0.3), SERIES),
    ("Reshape", dict(target_shape=(4, -1)), SERIES),
    ("Permute", dict(dims=(2, 1)), SERIES),
    ("RepeatVector", dict(n=3), (2, 5)),
    ("ZeroPadding2D", dict(padding=((1, 0), (2, 3))), IMAGE),
    ("ZeroPadding1D", dict(padding=2), SERIES),
    ("Cropping2D", dict(cropping=((1, 0), (2, 1))), IMAGE),
    ("UpSampling2D", dict(size=(2, 3)), IMAGE),
    ("UpSampling2D", dict(size=2, interpolation="bilinear"), IMAGE),
    ("UpSampling1D", dict(size=2), SERIES),
    ("BatchNormalization", {}, IMAGE),
    ("BatchNormalization", dict(axis=1, scale=False, momentum=0.8), SERIES),
    ("LayerNormalization", {}, SERIES),
    ("LayerNormalization", dict(axis=[2, 3], center=False), IMAGE),
    *[(name, dict(units=5, return_sequences=seq, go_backwards=back), SERIES) for name in ("LSTM", "GRU", "SimpleRNN") for seq in (False, True)
      for back in (False, True)],
    ("LSTM", dict(units=5, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False), SERIES),
    ("GRU", dict(units=5, reset_after=False), SERIES),
    ("GRU", dict(units=5, activation="softsign"), SERIES),
    ("SimpleRNN", dict(units=5, activation="relu"), SERIES),
    *[("Activation", dict(activation=a), SERIES) for a in ("relu", "sigmoid", "tanh", "softmax", "softplus", "softsign", "elu", "selu", "gelu",
                                                           "swish", "linear", "exponential", "hard_sigmoid", "mish", "relu6", "leaky_relu",
                                                           "log_softmax", "silu")],
]


def labelled(case):
    name, kwargs, shape = case
    return f"{name}-{'-'.join(f'{k}={v}' for k, v in kwargs.items())}"


def random_weights(layer):
    return [abs(normal(*w.shape)) + 0.1 if "variance" in w.name else 0.5 * normal(*w.shape) for w in layer.weights]


def compare(mine, theirs, *xs, training=False, **kwargs):
    """Outputs, and gradients of a weighted sum of them, of two layers with the same weights."""
    import torch

    import minitorch
    theirs(*[torch.tensor(x) for x in xs], **kwargs)
    mine(*[minitorch.tensor(x) for x in xs], **kwargs)
    weights = random_weights(theirs)
    assert [w.shape for w in mine.get_weights()] == [w.shape for w in weights]
    theirs.set_weights(weights)
    mine.set_weights(weights)
    a = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in xs]
    b = [minitorch.tensor(x, requires_grad=x.dtype.kind == "f") for x in xs]
    y, z = theirs(*a, training=training, **kwargs), mine(*b, training=training, **kwargs)
    y, z = (list(v) if isinstance(v, (tuple, list)) else [v] for v in (y, z))
    assert len(y) == len(z)
    total, sum_ = 0, 0
    for p, q in zip(y, z):
        assert tuple(p.shape) == tuple(q.shape)
        close(q.detach().numpy(), p.detach().numpy())
        g = normal(*p.shape)
        total, sum_ = total + (p * torch.tensor(g)).sum(), sum_ + (q * minitorch.tensor(g)).sum()
    total.backward()
    sum_.backward()
    for t, u in zip(a, b):
        if t.requires_grad:
            close(u.grad.numpy(), t.grad.numpy())
    for t, u in zip(theirs.trainable_weights, mine.trainable_weights):
        close(u.grad.numpy(), t.value.grad.numpy(), atol=2e-4)
    for t, u in zip(theirs.get_weights(), mine.get_weights()):
        close(u, t)                                          # the moving ones too


@pytest.mark.parametrize("case", LAYERS, ids=labelled)
def test_a_layer_computes_what_keras_computes(case):
    name, kwargs, shape = case
    compare(getattr(ours.layers, name)(**kwargs), getattr(keras.layers, name)(**kwargs), normal(*shape))


@pytest.mark.parametrize("case", [c for c in LAYERS if c[0] == "BatchNormalization"], ids=labelled)
def test_batch_normalization_in_training_moves_as_keras_does(case):
    name, kwargs, shape = case
    compare(getattr(ours.layers, name)(**kwargs), getattr(keras.layers, name)(**kwargs), normal(*shape), training=True)


@pytest.mark.parametrize("case", LAYERS, ids=labelled)
def test_shapes_and_counts_are_keras(case):
    name, kwargs, shape = case
    mine, theirs = getattr(ours.layers, name)(**kwargs), getattr(keras.layers, name)(**kwargs)
    a, b = mine(ours.Input(shape[1:])), theirs(keras.Input(shape[1:]))
    assert a.shape == tuple(b.shape) and mine.count_params() == theirs.count_params()


def bidirectional(k, **options):
    return k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=options.pop("return_sequences", False),
                                                return_state=options.pop("return_state", False)), **options)


WRAPPED = {
    "concat": lambda k: bidirectional(k), "sum, sequences": lambda k: bidirectional(k, merge_mode="sum", return_sequences=True),
    "states": lambda k: bidirectional(k, return_state=True), "both": lambda k: bidirectional(k, merge_mode=None),
    "distributed": lambda k: k.layers.TimeDistributed(k.layers.Dense(3, activation="relu")),
    "state": lambda k: k.layers.GRU(4, return_state=True, return_sequences=True),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_and_states_are_keras(name):
    compare(WRAPPED[name](ours), WRAPPED[name](keras), normal(*SERIES))


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
def test_merging_layers_are_keras(name):
    xs = [normal(3, 4), normal(3, 4)]
    a, b = getattr(ours.layers, name)(), getattr(keras.layers, name)()
    close(a(xs).numpy(), b(xs).numpy())


@pytest.mark.parametrize("axes, normalize", [(1, False), (1, True), ((1, 2), False)])
def test_dot_is_keras(axes, normalize):
    xs = [normal(3, 4, 5), normal(3, 2, 4) if axes == (1, 2) else normal(3, 4, 2)]
    close(ours.layers.Dot(axes, normalize=normalize)(xs).numpy(), keras.layers.Dot(axes, normalize=normalize)(xs).numpy())


@pytest.mark.parametrize("call", [{}, dict(use_causal_mask=True)], ids=str)
def test_multi_head_attention_is_keras(call):
    q, v = normal(2, 5, 6), normal(2, 5 if call else 4, 3)
    compare(ours.layers.MultiHeadAttention(2, 3, value_dim=4), keras.layers.MultiHeadAttention(2, 3, value_dim=4), q, v, **call)


def test_attention_scores_are_keras():
    q, v = normal(2, 5, 6), normal(2, 4, 3)
    mask = RNG.random((2, 5, 4)) < 0.7
    compare(ours.layers.MultiHeadAttention(2, 3), keras.layers.MultiHeadAttention(2, 3), q, v, attention_mask=mask, return_attention_scores=True)


@pytest.mark.parametrize("make", [
    lambda k: [k.layers.LSTM(4)], lambda k: [k.layers.GRU(4, return_sequences=True), k.layers.GRU(3)],
    lambda k: [k.layers.SimpleRNN(4, return_sequences=True)], lambda k: [k.layers.GlobalAveragePooling1D()],
    lambda k: [k.layers.Dense(3), k.layers.LSTM(4)]], ids=["LSTM", "GRU GRU", "sequences", "average", "Dense LSTM"])
def test_padding_is_passed_over_as_keras_does(make):
    x = RNG.integers(1, 9, (4, 6))
    for i, n in enumerate((6, 3, 1, 4)):
        x[i, n:] = 0
    mine = ours.Sequential([ours.layers.Embedding(9, 5, mask_zero=True), *make(ours)])
    theirs = keras.Sequential([keras.layers.Embedding(9, 5, mask_zero=True), *make(keras)])
    compare(mine, theirs, x)


# ---- losses and metrics ---------------------------------------------------------------------------------------

def probabilities(*shape):
    x = np.exp(normal(*shape))
    return x / x.sum(-1, keepdims=True)


ONE_HOT, BITS = np.eye(4, dtype="f4")[RNG.integers(0, 4, 6)], RNG.integers(0, 2, (6, 3)).astype("f4")
LOSSES = [
    *[(name, {}, normal(6, 3), normal(6, 3)) for name in ("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError",
                                                         "MeanSquaredLogarithmicError", "CosineSimilarity", "Huber", "LogCosh")],
    ("Huber", dict(delta=0.5), normal(6, 3), normal(6, 3)),
    *[(name, {}, probabilities(6, 4), probabilities(6, 4)) for name in ("Poisson", "KLDivergence")],
    *[(name, {}, 2 * BITS - 1, normal(6, 3)) for name in ("Hinge", "SquaredHinge")],
    ("Hinge", {}, BITS, normal(6, 3)),
    ("CategoricalHinge", {}, ONE_HOT, normal(6, 4)),
    ("BinaryCrossentropy", {}, BITS, RNG.random((6, 3)).astype("f4")),
    ("BinaryCrossentropy", dict(from_logits=True, label_smoothing=0.1), BITS, normal(6, 3)),
    ("CategoricalCrossentropy", {}, ONE_HOT, probabilities(6, 4)),
    ("CategoricalCrossentropy", dict(from_logits=True, label_smoothing=0.2), ONE_HOT, normal(6, 4)),
    ("SparseCategoricalCrossentropy", {}, ONE_HOT.argmax(1), probabilities(6, 4)),
    ("SparseCategoricalCrossentropy", dict(from_logits=True), ONE_HOT.argmax(1)[:, None], normal(6, 4)),
    ("SparseCategoricalCrossentropy", dict(from_logits=True, ignore_class=2), ONE_HOT.argmax(1), normal(6, 4)),
    ("SparseCategoricalCrossentropy", {}, RNG.integers(0, 4, (2, 3)), probabilities(2, 3, 4)),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none"])
@pytest.mark.parametrize("name, kwargs, y_true, y_pred", LOSSES)
def test_a_loss_is_keras(name, kwargs, y_true, y_pred, reduction):
    a, b = getattr(ours.losses, name)(reduction=reduction, **kwargs), getattr(keras.losses, name)(reduction=reduction, **kwargs)
    assert a.name == b.name
    close(a(y_true, y_pred).numpy(), b(y_true, y_pred).numpy())
    weight = RNG.random(b(y_true, y_pred).shape or (len(y_pred), *y_pred.shape[1:-1])).astype("f4")
    close(a(y_true, y_pred, sample_weight=weight).numpy(), b(y_true, y_pred, sample_weight=weight).numpy())


METRICS = [
    ("Accuracy", {}, RNG.integers(0, 3, 6), RNG.integers(0, 3, 6)),
    ("BinaryAccuracy", {}, BITS, RNG.random((6, 3))), ("BinaryAccuracy", dict(threshold=0.8), BITS, RNG.random((6, 3))),
    ("CategoricalAccuracy", {}, ONE_HOT, probabilities(6, 4)), ("SparseCategoricalAccuracy", {}, ONE_HOT.argmax(1), probabilities(6, 4)),
    ("TopKCategoricalAccuracy", dict(k=2), ONE_HOT, probabilities(6, 4)),
    ("SparseTopKCategoricalAccuracy", dict(k=2), ONE_HOT.argmax(1), probabilities(6, 4)),
    *[(name, {}, normal(6, 3), normal(6, 3)) for name in ("MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "R2Score",
                                                         "CosineSimilarity", "MeanSquaredLogarithmicError")],
    ("BinaryCrossentropy", {}, BITS, RNG.random((6, 3))), ("CategoricalCrossentropy", {}, ONE_HOT, probabilities(6, 4)),
    ("SparseCategoricalCrossentropy", dict(from_logits=True), ONE_HOT.argmax(1), normal(6, 4)),
    ("KLDivergence", {}, probabilities(6, 4), probabilities(6, 4)), ("Poisson", {}, probabilities(6, 4), probabilities(6, 4)),
    *[(name, {}, BITS, RNG.random((6, 3))) for name in ("Precision", "Recall", "AUC", "TruePositives", "FalsePositives", "TrueNegatives",
                                                       "FalseNegatives")],
    ("AUC", dict(curve="PR"), BITS, RNG.random((6, 3))), ("Precision", dict(thresholds=[0.2, 0.7]), BITS, RNG.random((6, 3))),
    ("Recall", dict(class_id=1), BITS, RNG.random((6, 3))), ("Precision", dict(top_k=2), ONE_HOT, probabilities(6, 4)),
    *[("F1Score", dict(average=a), ONE_HOT, probabilities(6, 4)) for a in (None, "micro", "macro", "weighted")],
]


@pytest.mark.parametrize("name, kwargs, y_true, y_pred", METRICS)
def test_a_metric_is_keras(name, kwargs, y_true, y_pred):
    a, b = getattr(ours.metrics, name)(**kwargs), getattr(keras.metrics, name)(**kwargs)
    assert a.name.rstrip("_0123456789") == b.name.rstrip("_0123456789") or a.name == b.name
    for part in (slice(0, 4), slice(4, 6)):
        a.update_state(y_true[part], y_pred[part])
        b.update_state(y_true[part], y_pred[part])
    close(a.result().numpy(), b.result().cpu().numpy() if hasattr(b.result(), "cpu") else b.result())
    a.reset_state()
    assert not np.any(np.asarray(a.result().numpy())) or name == "R2Score"


# ---- optimizers and training ----------------------------------------------------------------------------------

OPTIMIZERS = [("SGD", {}), ("SGD", dict(learning_rate=0.05, momentum=0.9)), ("SGD", dict(learning_rate=0.05, momentum=0.9, nesterov=True)),
              ("Adam", {}), ("Adam", dict(learning_rate=0.01, amsgrad=True, epsilon=1e-3)), ("AdamW", dict(learning_rate=0.01)),
              ("RMSprop", {}), ("RMSprop", dict(momentum=0.5, centered=True, learning_rate=0.003)), ("Adagrad", dict(learning_rate=0.1)),
              ("Adadelta", dict(learning_rate=1.0)), ("Adamax", dict(learning_rate=0.01)), ("Nadam", dict(learning_rate=0.01)),
              ("Lion", dict(learning_rate=0.01)), ("SGD", dict(clipnorm=0.1)), ("SGD", dict(clipvalue=0.01)),
              ("SGD", dict(global_clipnorm=0.1)), ("SGD", dict(weight_decay=0.1))]


@pytest.mark.parametrize("name, kwargs", OPTIMIZERS)
def test_an_optimizer_moves_as_keras_does(name, kwargs):
    import torch

    import minitorch
    start, grads = [normal(3, 2), normal(4)], [[normal(3, 2), normal(4)] for _ in range(6)]
    a, b = getattr(ours.optimizers, name)(**kwargs), getattr(keras.optimizers, name)(**kwargs)
    mine = [ours.Variable(minitorch.tensor(w)) for w in start]
    theirs = [keras.Variable(w) for w in start]
    for i, gs in enumerate(grads):
        if i == 3:
            a.learning_rate = b.learning_rate = 0.02            # a schedule must not change what the momentum has gathered
        a.apply_gradients(zip([minitorch.tensor(g) for g in gs], mine))
        with torch.no_grad():
            b.apply_gradients(zip([torch.tensor(g) for g in gs], theirs))
        for w, v in zip(mine, theirs):
            close(w.numpy(), v.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name, args", [
    ("ExponentialDecay", (0.1, 10, 0.5)), ("ExponentialDecay", (0.1, 10, 0.5, True)), ("CosineDecay", (0.1, 20, 0.1)),
    ("InverseTimeDecay", (0.1, 10, 0.5)), ("PolynomialDecay", (0.1, 10, 0.01, 2.0)), ("PolynomialDecay", (0.1, 10, 0.01, 1.0, True)),
    ("PiecewiseConstantDecay", ([5, 10], [1.0, 0.5, 0.1])), ("CosineDecayRestarts", (0.1, 5, 2.0, 0.8))])
def test_a_schedule_is_keras(name, args):
    a, b = getattr(ours.optimizers.schedules, name)(*args), getattr(keras.optimizers.schedules, name)(*args)
    close([float(a(i)) for i in range(30)], [float(b(i)) for i in range(30)], rtol=1e-5, atol=1e-7)


def test_a_cosine_with_warmup_is_keras():
    a, b = [k.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.1, warmup_steps=5) for k in (ours, keras)]
    close([float(a(i)) for i in range(40)], [float(b(i)) for i in range(40)], rtol=1e-5, atol=1e-7)


def convolutional(k):
    r = k.regularizers
    return k.Sequential([k.layers.Input((8, 8, 1)), k.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=r.l2(1e-2)),
                         k.layers.BatchNormalization(), k.layers.MaxPooling2D(), k.layers.Flatten(),
                         k.layers.Dense(8, activation="relu", kernel_regularizer=r.L1L2(1e-3, 1e-3), activity_regularizer=r.l1(1e-3)),
                         k.layers.Dense(3, activation="softmax")])


def branched(k):
    x = k.Input((8, 8, 1))
    a = k.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = k.layers.Conv2D(4, 1, activation="tanh")(x)
    y = k.layers.Add()([a, b])
    y = k.layers.Concatenate()([k.layers.GlobalAveragePooling2D()(y), k.layers.Flatten()(k.layers.MaxPooling2D(4)(a))])
    return k.Model(x, k.layers.Dense(3, activation="softmax", kernel_constraint=k.constraints.MaxNorm(1.0))(y))


def recurrent(k):
    return k.Sequential([k.layers.Input((8, 8, 1)), k.layers.Reshape((8, 8)), k.layers.Bidirectional(k.layers.LSTM(5)),
                         k.layers.Dense(3, activation="softmax")])


@pytest.mark.parametrize("make", [convolutional, branched, recurrent])
@pytest.mark.parametrize("options", [{}, {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}, {"sample_weight": True}],
                         ids=["plain", "class_weight", "sample_weight"])
def test_training_takes_the_course_that_keras_takes(make, options):
    x, y = normal(50, 8, 8, 1), RNG.integers(0, 3, 50)
    if options.get("sample_weight"):
        options = {"sample_weight": RNG.random(50).astype("f4")}
    models = [make(k) for k in (ours, keras)]
    weights = [0.3 * w for w in random_weights(models[1])]    # no probability as small as those that Keras on PyTorch clips
    logs = []
    for model in models:
        model.set_weights(weights)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, validation_split=0.2, **options).history
        logs.append((history, model.evaluate(x, y, verbose=0, return_dict=True), model.predict(x, verbose=0)))
    (mine, at_end, said), (theirs, their_end, they_said) = logs
    assert set(mine) == set(theirs)
    for key in mine:
        close(mine[key], theirs[key], rtol=2e-3, atol=1e-4)      # three epochs of float32 in two orders of addition
    for key in at_end:
        close(at_end[key], their_end[key], rtol=2e-3, atol=1e-4)
    close(said, they_said, rtol=2e-2, atol=1e-3)


def test_the_layers_of_a_graph_stand_in_keras_order():
    mine, theirs = branched(ours), branched(keras)
    assert [type(layer).__name__ for layer in mine.layers] == [type(layer).__name__ for layer in theirs.layers]


def test_pad_sequences_and_to_categorical_are_keras():
    rows = [[1, 2, 3], [4], [], [5, 6, 7, 8, 9]]
    for kwargs in ({}, dict(maxlen=3), dict(maxlen=3, padding="post"), dict(maxlen=2, truncating="post", value=-1), dict(dtype="float32")):
        a, b = ours.utils.pad_sequences(rows, **kwargs), keras.utils.pad_sequences(rows, **kwargs)
        assert a.dtype == b.dtype and (a == b).all()
    for args in (([0, 2, 1],), ([[0], [2]],), ([1, 0], 4), ([[0, 1], [2, 1]],)):
        a, b = ours.utils.to_categorical(*args), keras.utils.to_categorical(*args)
        assert a.shape == b.shape and (a == b).all()


@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
                                  "random_normal", "random_uniform", "truncated_normal", "orthogonal"])
def test_an_initializer_spreads_as_keras_does(name):
    shape = (3, 3, 40, 50)
    a, b = [np.asarray(k.initializers.get(name)(shape).detach().numpy()) for k in (ours, keras)]
    share = [0.01, 0.1, 0.3, 0.7, 0.9, 0.99]
    np.testing.assert_allclose(np.quantile(a, share), np.quantile(b, share), rtol=0.1, atol=0.02 * b.std())     # 18,000 drawn numbers each
