"""Layers of minitorch.keras: shapes, weights made late, masks, noise in training alone, and what they say to what does not fit."""
import numpy as np
import pytest

import minitorch as torch
from minitorch import keras, nn
from minitorch.keras import layers

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype("f4")


# ---- weights --------------------------------------------------------------------------------------------------

def test_weights_are_made_by_the_first_input():
    layer = layers.Dense(3)
    assert layer.weights == [] and not layer.built
    assert layer(normal(2, 4)).shape == (2, 3)
    assert [w.shape for w in layer.get_weights()] == [(4, 3), (3,)] and layer.count_params() == 15


WEIGHTS = [
    (layers.Conv2D(4, (3, 2)), (5, 6, 2), [(3, 2, 2, 4), (4,)]), (layers.Conv1D(4, 3, groups=2), (5, 6), [(3, 3, 4), (4,)]),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 3), [(3, 3, 3, 2), (6,)]),
    (layers.Conv2DTranspose(4, 3), (5, 5, 2), [(3, 3, 4, 2), (4,)]), (layers.Embedding(7, 4), (3,), [(7, 4)]),
    (layers.LSTM(5), (3, 2), [(2, 20), (5, 20), (20,)]), (layers.GRU(5), (3, 2), [(2, 15), (5, 15), (2, 15)]),
    (layers.SimpleRNN(5, use_bias=False), (3, 2), [(2, 5), (5, 5)]), (layers.BatchNormalization(), (4,), [(4,)] * 4),
    (layers.Bidirectional(layers.GRU(2)), (3, 2), [(2, 6), (2, 6), (2, 6)] * 2),
    (layers.MultiHeadAttention(2, 3), None, [(4, 2, 3), (2, 3)] * 3 + [(2, 3, 4), (4,)]),
]


@pytest.mark.parametrize("layer, shape, wanted", WEIGHTS, ids=lambda v: type(v).__name__)
def test_weights_have_keras_shapes(layer, shape, wanted):
    if shape is None:
        layer(normal(2, 3, 4), normal(2, 3, 4))
    else:
        layer(np.ones((2, *shape), "f4"))
    assert [w.shape for w in layer.get_weights()] == wanted


def test_the_forget_gate_begins_at_one_and_recurrent_kernels_are_orthogonal():
    layer = layers.LSTM(6)
    layer(normal(1, 2, 3))
    assert layer.bias.numpy().reshape(4, 6).tolist() == [[0] * 6, [1] * 6, [0] * 6, [0] * 6]
    u = layer.recurrent_kernel.numpy()
    np.testing.assert_allclose(u @ u.T, np.eye(6), atol=1e-5)


def test_glorot_uniform_is_the_start():
    layer = layers.Dense(300)
    layer(normal(1, 200))
    kernel, bound = layer.kernel.numpy(), (6 / 500) ** 0.5
    assert 0.98 * bound < abs(kernel).max() <= bound and not layer.bias.numpy().any()


def test_a_layer_is_a_module_of_minitorch():
    layer = layers.Dense(3, name="d")
    net = nn.Sequential(nn.Linear(4, 5), layer, nn.ReLU())
    net(torch.randn(2, 4)).sum().backward()
    assert {n for n, _ in net.named_parameters()} == {"0.weight", "0.bias", "1.kernel", "1.bias"}
    assert layer.kernel.grad.shape == (5, 3) and net.double()[1].kernel.dtype is torch.float64
    noise = layers.Dropout(0.5)
    x = torch.ones(100)
    assert (noise(x) == x).all() and not (noise.train()(x) == x).all() and (noise.eval()(x) == x).all()


def test_a_module_of_minitorch_is_a_layer():
    model = keras.Sequential([layers.Input((4,)), nn.Linear(4, 5), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(normal(8, 4), normal(8, 1), verbose=0)
    assert len(before) == 4 and all((a != b).any() for a, b in zip(before, model.get_weights()))


def test_a_frozen_layer_has_no_trainable_weights():
    layer = layers.Dense(3)
    layer.trainable = False
    y = layer(normal(2, 4))
    assert not y.requires_grad and len(layer.weights) == len(layer.non_trainable_weights) == 2
    layer.trainable = True
    assert len(layer.trainable_weights) == 2


def test_layers_in_lists_are_found_in_the_order_of_attributes():
    class Blocks(layers.Layer):
        def __init__(self):
            super().__init__()
            self.blocks = [layers.Dense(2), layers.Dense(3)]
            self.last = layers.Dense(4)

        def call(self, x):
            for block in (*self.blocks, self.last):
                x = block(x)
            return x
    layer = Blocks()
    layer(normal(1, 5))
    assert [w.shape for w in layer.get_weights()] == [(5, 2), (2,), (2, 3), (3,), (3, 4), (4,)]
    assert len(list(layer.parameters())) == 6


def test_assign_sets_a_weight():
    layer = layers.Dense(2, use_bias=False)
    layer(normal(1, 3))
    layer.kernel.assign(np.ones((3, 2), "f4")).assign_add(1.0)
    assert (layer.kernel.numpy() == 2).all()
    with pytest.raises(ValueError, match=r"\(2, 3\) does not fit the weight kernel of \(3, 2\)"):
        layer.kernel.assign(np.ones((2, 3)))


def test_seeded_initializers_repeat_and_the_others_follow_the_seed():
    init = keras.initializers.GlorotUniform(seed=3)
    assert (init((4, 5)) == init((4, 5))).all()
    values = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        values.append(keras.initializers.HeNormal()((4, 5)))
    assert (values[0] == values[1]).all()


# ---- values -----------------------------------------------------------------------------------------------------

def test_the_mean_of_a_padded_window_leaves_the_padding_out():
    x = np.arange(1.0, 6).reshape(1, 5, 1)
    y = layers.AveragePooling1D(2, strides=2, padding="same")(x).numpy()
    assert y.ravel().tolist() == [1.5, 3.5, 5.0]


def test_same_padding_puts_the_odd_place_behind():
    layer = layers.Conv1D(1, 2, padding="same", kernel_initializer="ones")
    assert layer(np.array([1.0, 2, 3]).reshape(1, 3, 1)).detach().numpy().ravel().tolist() == [3, 5, 3]


def test_channels_first_computes_the_same():
    x = normal(2, 3, 8, 7)
    for make in (lambda f: layers.Conv2D(4, 3, strides=2, padding="same", data_format=f), lambda f: layers.MaxPooling2D(data_format=f)):
        first, last = make("channels_first"), make("channels_last")
        first(x)
        last(np.moveaxis(x, 1, -1))
        last.set_weights(first.get_weights())
        np.testing.assert_allclose(np.moveaxis(first(x).detach().numpy(), 1, -1), last(np.moveaxis(x, 1, -1)).detach().numpy(), atol=1e-5)


def test_noise_and_dropout_act_in_training_alone():
    x = torch.ones(200, 50)
    for layer in (layers.Dropout(0.5), layers.GaussianNoise(0.3), layers.GaussianDropout(0.3), layers.SpatialDropout1D(0.5)):
        x = torch.ones(200, 5, 10) if "1D" in type(layer).__name__ else torch.ones(200, 50)
        assert (layer(x) == x).all()
        y = layer(x, training=True)
        assert (y != x).any() and abs(float(y.mean()) - 1) < 0.1
    dropped = layers.SpatialDropout1D(0.5)(torch.ones(4, 6, 8), training=True)
    assert ((dropped == 0).all(1) | (dropped == 2).all(1)).all()
    a, b = [layers.Dropout(0.5, seed=1)(x, training=True) for _ in range(2)]
    assert (a == b).all()
    noise = layers.GaussianNoise(0.3)(torch.zeros(10000), training=True)
    assert abs(float(noise.std()) - 0.3) < 0.01


def test_training_reaches_layers_inside_layers():
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dropout(0.5)

        def call(self, x):
            return self.inner(x)
    x = torch.ones(100)
    assert (Outer()(x) == x).all() and not (Outer()(x, training=True) == x).all()


def test_penalties_and_added_losses_are_collected():
    layer = layers.Dense(2, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.01), bias_regularizer="l1",
                         activity_regularizer=keras.regularizers.L2(0.5))
    x = normal(4, 3)
    y, w = layer(x).detach().numpy(), layer.kernel.numpy()
    found = sorted(float(v) for v in layer.losses)
    wanted = sorted([0.1 * abs(w).sum() + 0.01 * (w ** 2).sum(), 0.0, 0.5 * (y ** 2).sum() / 4])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: layers.LSTM(3), lambda: layers.GRU(3, return_sequences=True), lambda: layers.SimpleRNN(3)])
def test_a_padded_sequence_ends_as_the_same_without_padding(make):
    embed, layer = layers.Embedding(9, 4, mask_zero=True), make()
    short, padded = np.array([[3, 1, 2]]), np.array([[3, 1, 2, 0, 0]])
    a, b = (layer(embed(x)).detach().numpy() for x in (short, padded))
    if a.ndim == 3:
        assert (b[:, 3] == b[:, 2]).all() and (b[:, 4] == b[:, 2]).all()
        b = b[:, :3]
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_mask_passes_through_layers_and_is_made_by_masking():
    x = np.zeros((2, 4, 3), "f4")
    x[0, :2] = x[1, :3] = 1
    y = layers.Dropout(0.1)(layers.Dense(5)(layers.Masking()(x)))
    assert y._keras_mask.numpy().astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert getattr(layers.LSTM(3)(y), "_keras_mask", None) is None
    mean = layers.GlobalAveragePooling1D()(layers.Masking()(x)).numpy()
    assert (mean == 1).all()


def test_a_stateful_layer_goes_on_where_it_stopped():
    layer, x = layers.LSTM(3, stateful=True, return_sequences=True), normal(2, 6, 4)
    parts = np.concatenate([layer(x[:, :3]).detach().numpy(), layer(x[:, 3:]).detach().numpy()], 1)
    layer.reset_state()
    np.testing.assert_allclose(parts, layer(x).detach().numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="its state belongs to a batch of 2, not of 1"):
        layer(x[:1])


def test_normalization_adapts_to_data():
    x = normal(500, 3) * [1, 2, 3] + 5
    layer = layers.Normalization()
    layer.adapt(x)
    y = layer(x).numpy()
    np.testing.assert_allclose([y.mean(0), y.std(0)], [[0] * 3, [1] * 3], atol=1e-4)


def test_a_function_is_a_layer():
    assert layers.Lambda(lambda x: x * 2)(np.ones(3)).numpy().tolist() == [2, 2, 2]
    x = keras.Input((4, 3))
    assert keras.ops.mean(x, axis=1).shape == (None, 3) and (x * 2 + 1)[:, 0].shape == (None, 3)
    model = keras.Model(x, keras.ops.relu(keras.ops.sum(x, axis=(1, 2)) - 1.0))
    assert model(np.ones((2, 4, 3))).numpy().tolist() == [11, 11]


# ---- refusals -----------------------------------------------------------------------------------------------------

def built(layer, *shape):
    layer(np.ones(shape, "f4"))
    return layer


REFUSED = [
    (lambda: layers.Dense(0), "Dense: units must be a whole number above 0, not 0"),
    (lambda: layers.Dense(3, activation="rellu"), "unknown activation 'rellu'; did you mean 'relu'\\? There are: .*elu, .*softmax"),
    (lambda: layers.Dense(3, kernel_initializer="glort"), "unknown initializer 'glort'"),
    (lambda: layers.Dense(3, kernel_regularizer="l3"), "unknown regularizer 'l3'"),
    (lambda: layers.Dense(3, kernel_constraint="max"), "unknown constraint 'max'"),
    (lambda: layers.Dense(3, unitz=4), "Dense has no argument 'unitz'; it takes units, activation, use_bias"),
    (lambda: layers.Dense(3)(np.ones(4)), 'Input 0 of layer "dense.*expected min_ndim=2, found ndim=1. Full shape received: \\(4,\\)'),
    (lambda: built(layers.Dense(3), 2, 4)(np.ones((2, 5))), "expected axis -1 of input shape to have value 4, but received .* \\(2, 5\\)"),
    (lambda: layers.Conv2D(4, 3)(np.ones((2, 8, 8))), "expected ndim=4, found ndim=3"),
    (lambda: layers.Conv2D(4, 9)(np.ones((2, 8, 8, 1))), "windows of \\(9, 9\\) do not fit into an input of \\(8, 8\\).*padding=\"same\""),
    (lambda: layers.Conv2D(4, 3, padding="full"), 'padding must be "valid" or "same", not \'full\''),
    (lambda: layers.Conv2D(4, (3, 3, 3)), "Conv2D: kernel_size must be a whole number above 0, or a tuple of 2 of them"),
    (lambda: layers.MaxPooling2D(0), "MaxPooling2D: pool_size must be"),
    (lambda: layers.Embedding(5, 2)(np.array([[5]])), "the input holds 5 to 5, but the table has the rows 0 to 4"),
    (lambda: layers.Reshape((3, 5))(np.ones((2, 4, 4))), "an input of \\(4, 4\\), 16 numbers for each sample, does not fit the shape \\(3, 5\\)"),
    (lambda: layers.Dropout(1.5), "Dropout: rate must be a number from 0 to 1, not 1.5"),
    (lambda: layers.GaussianNoise(-1), "GaussianNoise: stddev must be a number from 0 on"),
    (lambda: layers.Add()([np.ones((2, 3)), np.ones((2, 4))]), "shapes that do not fit together: \\(None, 3\\), \\(None, 4\\)"),
    (lambda: layers.Concatenate()([np.ones((2, 3)), np.ones((2, 4, 5))]), "shapes of different numbers of axes"),
    (lambda: layers.Bidirectional(layers.Dense(3)), "Bidirectional wraps a recurrent layer such as LSTM, not Dense"),
    (lambda: layers.TimeDistributed(3), "TimeDistributed wraps a layer, not int"),
    (lambda: layers.LSTM(3)(np.ones((2, 0, 3))), "the sequences have no steps"),
    (lambda: layers.Dense(3)(np.array([["a"]])), "holds text, not numbers"),
    (lambda: keras.Input(), "Input needs a shape"),
    (lambda: keras.Input(5), "Input needs a tuple as its shape: Input\\(shape=\\(5,\\)\\)"),
    (lambda: np.exp(keras.Input((3,))), "this is a symbolic keras.Input"),
    (lambda: keras.regularizers.L1(-1), "l1 must be a number from 0 on, not -1"),
    (lambda: built(layers.Dense(3), 2, 4).set_weights([np.ones((4, 3))]), "has 2 weights, but the list has 1"),
    (lambda: built(layers.Dense(3), 2, 4).set_weights([np.ones((3, 3)), np.ones(3)]),
     "an array of shape \\(3, 3\\) does not fit the weight of shape \\(4, 3\\)"),
]


@pytest.mark.parametrize("call, words", REFUSED, ids=[w[:30] for _, w in REFUSED])
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_an_unknown_layer_names_those_there_are():
    with pytest.raises(AttributeError, match="keras.layers has no 'Dens'; did you mean 'Dense'\\? There are: .*Conv2D"):
        layers.Dens  # noqa: B018


# ---- helpers -------------------------------------------------------------------------------------------------------

def test_sequences_are_padded_in_front_or_behind():
    rows = [[1, 2, 3], [4]]
    assert keras.utils.pad_sequences(rows).tolist() == [[1, 2, 3], [0, 0, 4]]
    assert keras.preprocessing.sequence.pad_sequences(rows, 2, padding="post", truncating="post").tolist() == [[1, 2], [4, 0]]
    with pytest.raises(ValueError, match="takes a list of sequences"):
        keras.utils.pad_sequences([1, 2])


def test_class_numbers_become_one_hot():
    assert keras.utils.to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="there is a class 3, but num_classes=3 has the numbers 0 to 2"):
        keras.utils.to_categorical([3], 3)
    with pytest.raises(ValueError, match="whole numbers from 0 on"):
        keras.utils.to_categorical([0.5])
