"""Models of minitorch.keras: rows, graphs and classes of layers, and that each comes back from a file as it was."""
import json
import zipfile

import numpy as np
import pytest

from minitorch import keras
from minitorch.keras import layers, models

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype("f4")


# ---- rows -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make", [
    lambda: keras.Sequential([layers.Input((4,)), layers.Dense(3)]), lambda: keras.Sequential([layers.InputLayer((4,)), layers.Dense(3)]),
    lambda: keras.Sequential([layers.Dense(3, input_shape=(4,))]), lambda: keras.Sequential([layers.Dense(3, input_dim=4)])])
def test_a_row_knows_its_shapes_from_an_input(make):
    model = make()
    assert model.built and model.input_shape == (None, 4) and model.output_shape == (None, 3) and len(model.layers) == 1


def test_a_row_is_built_by_data_or_by_a_shape():
    for build in (lambda m: m(normal(2, 4)), lambda m: m.build((None, 4)), lambda m: m.predict(normal(2, 4), verbose=0)):
        model = keras.Sequential()
        model.add(layers.Dense(3))
        model.add(layers.Dense(2))
        assert not model.built and model.weights == []
        build(model)
        assert model.count_params() == 23 and model.output_shape == (None, 2)


def test_layers_are_added_and_taken_away():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3)])
    kernel = model.get_weights()[0]
    model.add(layers.Dense(2, name="last"))
    assert model.output_shape == (None, 2) and (model.get_weights()[0] == kernel).all()
    assert model.pop().name == "last" and model.output_shape == (None, 3)
    assert model.predict(normal(2, 4), verbose=0).shape == (2, 3)


REFUSED = [
    (lambda: keras.Sequential([layers.Dense]), r"write Dense\(\.\.\.\), with the brackets"),
    (lambda: keras.Sequential([3]), "Sequential takes layers, not int"),
    (lambda: keras.Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")]), 'two layers of model .* are called "a"'),
    (lambda: keras.Sequential([layers.Dense(1), layers.Input((3,))]), "an Input can only come first"),
    (lambda: keras.Sequential([layers.Input((4, 4, 1)), layers.Dense(2), layers.LSTM(3)]), "expected ndim=3, found ndim=4"),
    (lambda: keras.Model(keras.Input((3,))), r"Model\(inputs, outputs\) needs both"),
    (lambda: keras.Model(keras.Input((3,)), normal(2)), "outputs must be keras.Input tensors and outputs of layers"),
    (lambda: keras.Model(keras.Input((3,), name="b"), layers.Dense(1)(keras.Input((3,), name="a"))), 'depend on the Input "a"'),
    (lambda: keras.Sequential([layers.Input((3,)), layers.Dense(1)]).get_layer("no"), 'has no layer "no". There are: dense'),
    (lambda: keras.Sequential([layers.Dense(1)]).save_weights("x"), "has no weights yet: call it on data"),
    (lambda: keras.Sequential([layers.Dense(1)]).output, "has no output yet: the shape of its input is not known"),
    (lambda: type("Own", (keras.Model,), {})()(normal(2, 3)), r"Own needs a method call\(self, inputs\)"),
    (lambda: keras.Model(keras.Input((3,)), layers.Dense(1)(keras.Input((3,)))), "not among the inputs"),
]


@pytest.mark.parametrize("call, words", REFUSED, ids=[w[:30] for _, w in REFUSED])
def test_models_that_cannot_be_are_refused_in_words(call, words):
    with pytest.raises((ValueError, TypeError, AttributeError, NotImplementedError), match=words):
        call()


# ---- graphs ---------------------------------------------------------------------------------------------------------

def test_a_shared_layer_has_one_set_of_weights():
    a, b, shared = keras.Input((4,)), keras.Input((4,)), layers.Dense(3)
    model = keras.Model([a, b], layers.Subtract()([shared(a), shared(b)]))
    x = normal(2, 4)
    assert len(model.weights) == 2 and not model.predict([x, x], verbose=0).any()


def test_a_part_of_a_model_is_a_model():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, name="code"), layers.Dense(2)])
    part = keras.Model(model.input, model.get_layer("code").output)
    x = normal(2, 4)
    np.testing.assert_array_equal(part.predict(x, verbose=0), model.layers[0](x).detach().numpy())
    rest = keras.Model(model.get_layer("code").output, model.output)
    np.testing.assert_array_equal(rest.predict(part.predict(x, verbose=0), verbose=0), model.predict(x, verbose=0))


def test_unknown_lengths_stay_unknown():
    x = keras.Input((None, 4))
    y = layers.LSTM(3, return_sequences=True)(layers.Conv1D(5, 3)(x))
    assert y.shape == (None, None, 3)
    model = keras.Model(x, y)
    assert model.predict(normal(2, 9, 4), verbose=0).shape == (2, 7, 3) and model.predict(normal(2, 5, 4), verbose=0).shape == (2, 3, 3)


def test_the_shape_of_a_layer_of_ones_own_is_found_by_a_trial():
    class Halves(layers.Layer):
        def call(self, x):
            half = x.shape[-1] // 2
            return x[..., :half], x[..., half:]
    a, b = Halves()(keras.Input((None, 7)))
    assert a.shape == (None, None, 3) and b.shape == (None, None, 4)


# ---- files ------------------------------------------------------------------------------------------------------------

@keras.utils.register_keras_serializable("tests")
class Scale(layers.Layer):
    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.start), trainable=True)

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class Own(keras.Model):
    def __init__(self, units=3):
        super().__init__()
        self.body = keras.Sequential([layers.Dense(units, activation="relu"), layers.Dropout(0.5)])
        self.heads = [layers.Dense(2), layers.Dense(2)]

    def call(self, x, training=None):
        x = self.body(x)
        return self.heads[0](x) + self.heads[1](x)


def everything():
    r = keras.regularizers
    x = keras.Input((8, 8, 2), name="image")
    words = keras.Input((5,), dtype="int32", name="words")
    y = layers.GaussianNoise(0.1)(Scale(2.0)(x))
    y = layers.Conv2D(4, 3, padding="same", kernel_regularizer=r.L1L2(1e-3, 1e-4), activation="swish")(y)
    y = layers.BatchNormalization(momentum=0.9)(y)
    y = layers.Add()([layers.Conv2D(4, 1)(x), y]) * 0.5
    y = layers.LeakyReLU()(layers.MaxPooling2D((2, 2))(y)[:, 1:])
    z = layers.Embedding(9, 4, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5))(words)
    z = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(z)
    z = layers.TimeDistributed(layers.Dense(4, kernel_constraint=keras.constraints.MaxNorm(2.0)))(z)
    z = layers.MultiHeadAttention(2, 3)(z, z)
    z, state = layers.GRU(3, return_state=True)(z)
    y = layers.Concatenate()([keras.ops.mean(y, axis=(1, 2)), layers.Softmax()(z), state])
    inner = keras.Sequential([layers.Input((10,)), layers.Dense(5, activation="tanh"), layers.LayerNormalization()])
    return keras.Model({"image": x, "words": words}, layers.Dense(3, activation="softmax", name="out")(inner(y)))


def row():
    return keras.Sequential([layers.Input((6, 2)), layers.SimpleRNN(4, recurrent_initializer="identity"), layers.PReLU(), layers.Dense(3)])


INPUTS = {"everything": {"image": normal(6, 8, 8, 2), "words": RNG.integers(0, 9, (6, 5))}, "row": normal(6, 6, 2), "own": normal(6, 4)}
MODELS = {"everything": everything, "row": row, "own": Own}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_and_goes_on_from_where_it_was(name, tmp_path):
    x, model = INPUTS[name], MODELS[name]()
    y = RNG.integers(0, 2, 6)
    model.compile(keras.optimizers.Adam(0.01, clipnorm=5.0), keras.losses.SparseCategoricalCrossentropy(from_logits=name != "everything"),
                  metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2)])
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = models.load_model(tmp_path / "model.keras", custom_objects={"Own": Own})
    assert type(again) is type(model) and len(again.layers) == len(model.layers)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    for m in (model, again):
        keras.utils.set_random_seed(3)
        m.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert again.optimizer.iterations == model.optimizer.iterations == 4


@pytest.mark.parametrize("name", MODELS)
def test_weights_alone_go_to_another_model_of_the_kind(name, tmp_path):
    x, a, b = INPUTS[name], MODELS[name](), MODELS[name]()
    for m in (a, b):
        m.predict(x, verbose=0)
    a.save_weights(tmp_path / "w.weights.h5")
    b.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(a.predict(x, verbose=0), b.predict(x, verbose=0))
    a.save(tmp_path / "whole.keras")
    b.load_weights(tmp_path / "whole.keras")


def test_a_copy_has_the_same_layers_and_weights_of_its_own():
    model = everything()
    again = models.clone_model(model)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert any((a != b).any() for a, b in zip(model.get_weights(), again.get_weights()))
    assert models.model_from_json(model.to_json()).count_params() == model.count_params()


def test_weights_of_another_model_are_refused_by_name(tmp_path):
    model = row()
    model.save_weights(tmp_path / "w")
    other = keras.Sequential([layers.Input((6, 2)), layers.SimpleRNN(5), layers.PReLU(), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"kernel has \(2, 5\), .*kernel in the file \(2, 4\)"):
        other.load_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="holds 6 weights, but model .* has 2: it was saved from another model"):
        keras.Sequential([layers.Input((4,)), layers.Dense(3)]).load_weights(tmp_path / "w")


def test_a_class_that_is_not_known_is_named(tmp_path):
    model = Own()
    model(normal(2, 4))
    model.save(tmp_path / "own.keras")
    with pytest.raises(ValueError, match=r"unknown class or function 'Own': pass load_model\(..., custom_objects="):
        models.load_model(tmp_path / "own.keras")


def test_a_lambda_is_refused_when_saving(tmp_path):
    model = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x + 1)])
    with pytest.raises(TypeError, match="a lambda cannot be saved: give the function a name"):
        model.save(tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()
    model = row()
    model.compile("sgd", lambda a, b: (a - b).square())
    with pytest.warns(UserWarning, match=r"what compile\(\) was given is not saved: a lambda"):
        model.save(tmp_path / "m.keras")
    assert not models.load_model(tmp_path / "m.keras").compiled


def tampered(path, change):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def named_in_config(text):
    def change(parts):
        config = json.loads(parts["config.json"])
        config["model"]["config"]["layers"][0].update(text)
        parts["config.json"] = json.dumps(config).encode()
    return change


def damaged(parts):
    data = bytearray(parts["model.weights.pt"])
    data[len(data) // 2] ^= 255
    parts["model.weights.pt"] = bytes(data)


@pytest.mark.parametrize("change, error, words", [
    (named_in_config({"module": "os", "class_name": "system", "config": "echo"}), ValueError, "unknown class or function 'system'"),
    (named_in_config({"module": "builtins", "class_name": "function", "config": "eval"}), ValueError, "unknown class or function 'eval'"),
    (named_in_config({"module": "keras.layers", "class_name": "math", "config": {}}), ValueError, "unknown class or function 'math'"),
    (lambda parts: parts.update({"config.json": b"{"}), RuntimeError, "is damaged"),
    (lambda parts: parts.pop("config.json"), RuntimeError, "holds no model"),
    (lambda parts: parts.update({"model.weights.h5": b""}), NotImplementedError, "was written by Keras itself"),
    (damaged, RuntimeError, "damaged"),
], ids=["module", "function", "helper", "json", "no config", "Keras", "weights"])
def test_a_file_that_was_tampered_with_is_refused(change, error, words, tmp_path):
    path = tmp_path / "m.keras"
    row().save(path)
    tampered(path, change)
    with pytest.raises(error, match=words):
        models.load_model(path)


def test_a_flipped_byte_in_a_file_is_noticed(tmp_path):
    path = tmp_path / "m.keras"
    row().save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match="m.keras is damaged"):
        models.load_model(path)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.keras").write_text("no zip")
    with pytest.raises(RuntimeError, match="a.keras is damaged or no saved model"):
        models.load_model(tmp_path / "a.keras")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        models.load_model(tmp_path / "b.keras")
    row().save(tmp_path / "c.keras")
    with pytest.raises(FileExistsError, match="overwrite=True replaces it"):
        row().save(tmp_path / "c.keras", overwrite=False)
