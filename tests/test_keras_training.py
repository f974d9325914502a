"""Training with minitorch.keras: what is learnt, what is reported, callbacks, data of every form, and refusals in words."""
import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch as torch
from minitorch import keras
from minitorch.keras import callbacks, layers
from minitorch.utils.data import DataLoader, TensorDataset

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def flowers(n=120):
    """Points of three classes that a line parts."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 4)) * 0.3 + np.eye(3, 4)[y] * 2).astype("f4"), y


def classifier(optimizer="adam", metrics=("accuracy",), **kwargs):
    model = keras.Sequential([layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), **kwargs)
    return model


def regressor(inputs=4, **kwargs):
    model = keras.Sequential([layers.Input((inputs,)), layers.Dense(1)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **kwargs})
    return model


# ---- learning -------------------------------------------------------------------------------------------------------

def test_a_classifier_learns():
    x, y = flowers()
    model = classifier(keras.optimizers.Adam(0.02))
    history = model.fit(x, y, epochs=15, batch_size=16, verbose=0, validation_split=0.2)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"} and history.epoch == list(range(15))
    assert history.history["val_accuracy"][-1] > 0.95 and history is model.history
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}
    p = model.predict(x, verbose=0)
    assert isinstance(p, np.ndarray) and p.shape == (120, 3) and abs((p.argmax(1) == y).mean() - accuracy) < 1e-6


@pytest.mark.parametrize("loss, activation, target", [
    ("categorical_crossentropy", "softmax", lambda y: keras.utils.to_categorical(y)),
    (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, lambda y: y[:, None]),
    ("binary_crossentropy", "sigmoid", lambda y: keras.utils.to_categorical(y)),
    (lambda y_true, y_pred: (y_true - y_pred).square().mean(-1), "sigmoid", lambda y: keras.utils.to_categorical(y)),
    ("hinge", "tanh", lambda y: keras.utils.to_categorical(y) * 2 - 1), ("mae", None, lambda y: keras.utils.to_categorical(y))])
def test_every_form_of_loss_falls(loss, activation, target):
    x, y = flowers()
    model = keras.Sequential([layers.Dense(3, activation=activation)])
    model.compile("adam", loss)
    losses = model.fit(x, target(y), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_one_seed_gives_one_course():
    x, y = flowers()
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        runs.append(classifier().fit(x, y, epochs=2, verbose=0).history)
    assert runs[0] == runs[1]


def test_a_weight_of_zero_takes_a_sample_out():
    x, y = flowers(40)
    weight = np.r_[np.ones(20), np.zeros(20)]
    models = [regressor() for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    garbage = np.where(weight, y, 1000.0)
    for model, target in zip(models, (y.astype("f4"), garbage)):
        model.fit(x, target, sample_weight=weight, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(models[0].get_weights(), models[1].get_weights()):
        np.testing.assert_array_equal(a, b)


def test_class_weights_are_weights_of_their_samples():
    x, y = flowers(60)
    models = [classifier() for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    a = models[0].fit(x, y, class_weight={0: 3.0, 1: 0.5}, shuffle=False, verbose=0).history["loss"]
    b = models[1].fit(x, y, sample_weight=np.array([3.0, 0.5, 1.0])[y], shuffle=False, verbose=0).history["loss"]
    assert a == b


def test_the_reported_loss_is_the_mean_over_samples_and_holds_the_penalties():
    x, y = flowers(50)
    model = keras.Sequential([layers.Dense(1, kernel_regularizer=keras.regularizers.l2(0.1))])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mse"])
    logs = model.fit(x, y, batch_size=32, verbose=0).history
    penalty = 0.1 * (model.get_weights()[0] ** 2).sum()
    assert logs["loss"][0] == pytest.approx(logs["mse"][0] + penalty, rel=1e-5)
    assert logs["mse"][0] == pytest.approx(((model.predict(x, verbose=0)[:, 0] - y) ** 2).mean(), rel=1e-5)


def test_a_constraint_holds_after_every_step():
    model = keras.Sequential([layers.Dense(3, kernel_constraint=keras.constraints.MaxNorm(0.5))])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(np.ones((20, 4)), np.full((20, 3), 9.0), epochs=3, verbose=0)
    assert (np.linalg.norm(model.get_weights()[0], axis=0) < 0.5001).all()


def test_freezing_leaves_weights_alone_after_compile():
    x, y = flowers()
    model = classifier()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    assert (before[0] == after[0]).all() and (before[2] != after[2]).any()


def test_a_train_step_of_ones_own_is_taken():
    class Own(keras.Model):
        def train_step(self, data):
            x, y, _ = data
            loss = (self(x, training=True) - y).square().mean()
            self.zero_grad()
            loss.backward()
            self.optimizer.apply([v.grad for v in self.trainable_weights], self.trainable_weights)
            return {"own": loss}
    x = keras.Input((4,))
    model = Own(x, layers.Dense(1)(x))
    model.compile("adam")
    assert list(model.fit(*flowers(), epochs=2, verbose=0).history) == ["own"]


# ---- several inputs and outputs ---------------------------------------------------------------------------------------

def two_by_two():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    both = layers.concatenate([a, b])
    return keras.Model([a, b], [layers.Dense(1, name="p")(both), layers.Dense(2, name="q")(both)])


def test_several_inputs_and_outputs_by_place_or_name():
    rng = np.random.default_rng(0)
    a, b, p, q = (rng.normal(size=(20, n)) for n in (4, 3, 1, 2))
    model = two_by_two()
    model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 2.0], metrics=[["mae"], ["mse"]])
    first = model.evaluate([a, b], [p, q], verbose=0, return_dict=True)
    assert list(first) == ["loss", "p_loss", "q_loss", "p_mae", "q_mse"]
    assert first["loss"] == pytest.approx(first["p_loss"] + 2 * first["q_loss"], rel=1e-5)
    model.compile("sgd", {"p": "mse", "q": "mae"}, loss_weights={"p": 1.0, "q": 2.0}, metrics={"p": "mae", "q": ["mse"]})
    second = model.evaluate({"b": b, "a": a}, {"q": q, "p": p}, verbose=0, return_dict=True)
    assert first == pytest.approx(second)
    model.fit([a, b], [p, q], verbose=0)
    assert [v.shape for v in model.predict({"a": a, "b": b}, verbose=0)] == [(20, 1), (20, 2)]


# ---- data of every form -----------------------------------------------------------------------------------------------

class Set(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.ended = 0

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return np.full((4, 4), i, "f4"), np.zeros((4, 1), "f4")

    def on_epoch_end(self):
        self.ended += 1


def endless():
    while True:
        yield np.ones((4, 4)), np.zeros((4, 1))


@pytest.mark.parametrize("data, kwargs, steps", [
    (lambda: DataLoader(TensorDataset(torch.rand(20, 4), torch.rand(20, 1)), batch_size=6), {}, 4), (Set, {}, 3),
    (endless, {"steps_per_epoch": 5}, 5), (lambda: [(np.ones((4, 4)), np.zeros((4, 1)), np.ones(4))] * 2, {}, 2)])
def test_batches_come_from_anywhere(data, kwargs, steps):
    seen = []
    count = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    model = regressor()
    model.fit(data(), epochs=2, verbose=0, callbacks=[count], **kwargs)
    assert seen == list(range(steps)) * 2
    assert np.isfinite(model.evaluate(data(), verbose=0, steps=2 if kwargs else None))


def test_a_dataset_hears_of_the_end_of_epochs():
    data = Set()
    regressor().fit(data, epochs=3, verbose=0)
    assert data.ended == 3


def test_tensors_integers_and_doubles_are_taken():
    model = regressor()
    for x in (torch.ones(6, 4), np.ones((6, 4), int), np.ones((6, 4), np.uint16), np.ones((6, 4)), np.ones((6, 4)).tolist()):
        model.fit(x, np.zeros(6), verbose=0)
        assert model.predict(x, verbose=0).dtype == np.float32


def test_one_batch_at_a_time():
    x, y = flowers(10)
    model = classifier()
    loss, accuracy = model.train_on_batch(x, y)
    assert 0 <= accuracy <= 1 and model.test_on_batch(x, y)[0] < loss * 1.5
    assert set(model.train_on_batch(x, y, return_dict=True)) == {"loss", "accuracy"} and model.predict_on_batch(x).shape == (10, 3)
    assert model.optimizer.iterations == 2


# ---- callbacks ----------------------------------------------------------------------------------------------------------

class Told(callbacks.Callback):
    """Changes the logs' val_loss to numbers told before."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


def test_early_stopping_stops_and_goes_back_to_the_best():
    weights = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    model = regressor()
    history = model.fit(*flowers(), epochs=9, verbose=0, callbacks=[Told([5, 3, 4, 4, 1, 1, 1, 1, 1]), keep, stop])
    assert len(history.epoch) == 4 and stop.stopped_epoch == 3 and stop.best == 3
    for a, b in zip(model.get_weights(), weights[1]):
        np.testing.assert_array_equal(a, b)


def test_the_rate_falls_on_a_plateau():
    model = regressor(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(*flowers(), epochs=6, verbose=0, callbacks=[Told([3, 3, 3, 3, 3, 3]), callbacks.ReduceLROnPlateau(patience=2,
                                                                                                                          factor=0.5)])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025])


def test_the_rate_follows_a_function_or_a_schedule():
    model = regressor()
    logs = model.fit(*flowers(), epochs=3, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch, lr: 0.1 / (epoch + 1))])
    assert logs.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    model = regressor(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)))
    model.fit(*flowers(), epochs=1, batch_size=30, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    with pytest.raises(TypeError, match="made with a schedule, which decides its learning rate"):
        model.optimizer.learning_rate = 0.1


def test_checkpoints_keep_the_best(tmp_path):
    model = regressor()
    told = Told([3, 2, 4])
    model.fit(*flowers(), epochs=3, verbose=0, callbacks=[told, callbacks.ModelCheckpoint(tmp_path / "a" / "{epoch:02d}-{val_loss:.1f}.keras"),
                                                          callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_best_only=True,
                                                                                    save_weights_only=True)])
    assert sorted(os.listdir(tmp_path / "a")) == ["01-3.0.keras", "02-2.0.keras", "03-4.0.keras"]
    best = keras.models.load_model(tmp_path / "a" / "02-2.0.keras")
    model.load_weights(tmp_path / "best.weights.h5")
    for a, b in zip(best.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_the_log_is_a_table(tmp_path):
    for append in (False, True):
        regressor(metrics=["mae"]).fit(*flowers(), epochs=2, verbose=0, callbacks=[callbacks.CSVLogger(tmp_path / "log.csv", append=append)])
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "loss", "mae"] and [r[0] for r in rows[1:]] == ["0", "1", "0", "1"] and float(rows[1][1]) > 0


def test_callbacks_are_called_in_their_order():
    seen = []

    class Spy(callbacks.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_") and not name.endswith(("on_batch_begin", "on_batch_end")):
                seen.append(name)
            return super().__getattribute__(name)
    regressor().fit(*flowers(10), epochs=1, verbose=0, validation_data=flowers(5), callbacks=[Spy()])
    assert seen == ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin", "on_test_batch_begin",
                    "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end"]


def test_a_loss_that_is_no_number_ends_training(capsys):
    model = regressor(optimizer=keras.optimizers.SGD(1e20))
    history = model.fit(*flowers(), epochs=20, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert len(history.epoch) < 20 and "Invalid loss, terminating training" in capsys.readouterr().out


def test_what_is_watched_must_be_there():
    with pytest.warns(UserWarning, match="no 'val_loss' to watch; there are loss. What begins with val_ needs validation data"):
        regressor().fit(*flowers(), verbose=0, callbacks=[callbacks.EarlyStopping()])


# ---- what is shown ----------------------------------------------------------------------------------------------------------

def test_each_epoch_has_a_line(capsys):
    regressor(metrics=["mae"]).fit(*flowers(), epochs=2, verbose=2, validation_split=0.5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0::2] == ["Epoch 1/2", "Epoch 2/2"] and lines[1].startswith("2/2 - 0s - ")
    assert [part.split(":")[0] for part in lines[1].split(" - ")[3:]] == ["loss", "mae", "val_loss", "val_mae"]
    regressor().fit(*flowers(), epochs=2, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_summary_shows_shapes_and_counts(capsys):
    model = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(10)])
    model.summary()
    out = capsys.readouterr().out
    for part in ("conv2d", "(None, 6, 6, 4)", "(None, 144)", "1,450", "Total params: 1,506 (5.88 KB)", "Trainable params: 1,498",
                 "Non-trainable params: 8"):
        assert part in out
    lines = []
    two_by_two().summary(print_fn=lines.append)
    assert "Connected to" in lines[0] and "concatenate" in lines[0] and "a[0][0]," in lines[0]


# ---- refusals -------------------------------------------------------------------------------------------------------------

X, Y = flowers(12)
REFUSED = [
    (lambda: keras.Sequential([layers.Dense(1)]).fit(X, Y), 'must be compiled before fit\\(\\): model.compile\\(optimizer="adam", loss='),
    (lambda: keras.Sequential([layers.Dense(1)]).evaluate(X, Y), "must be compiled before evaluate"),
    (lambda: regressor(optimizer="adan"), "unknown optimizer 'adan'; did you mean 'adam'\\? There are: .*RMSprop"),
    (lambda: regressor(optimizer=torch.optim.SGD([torch.zeros(1, requires_grad=True)])), "compile\\(\\) takes an optimizer of minitorch.keras"),
    (lambda: regressor(loss="mes"), "unknown loss 'mes'.*There are: .*mse"),
    (lambda: regressor(metrics=["accurracy"]), "unknown metric 'accurracy'; did you mean 'accuracy'"),
    (lambda: regressor().fit(X, Y[:5], verbose=0), "the numbers of samples differ: x 12, y 5"),
    (lambda: regressor().fit(X[:, :3], Y, verbose=0), "expected axis -1 of input shape to have value 4, but received input with shape"),
    (lambda: regressor().fit(X[:0], Y[:0], verbose=0), "there are no samples"),
    (lambda: regressor().fit(X, Y, batch_size=0, verbose=0), "batch_size must be a whole number above 0, not 0"),
    (lambda: regressor().fit(X, Y, validation_split=1.5, verbose=0), "validation_split must be between 0 and 1"),
    (lambda: regressor().fit([[1, 2], [3]], [0, 1], verbose=0), "rows differ in length: keras.utils.pad_sequences makes them equal"),
    (lambda: regressor().fit(X, np.ones((12, 3)), verbose=0), "mean_squared_error: the targets have the shape \\(12, 3\\), .* \\(12, 1\\)"),
    (lambda: classifier().fit(X, Y + 1, verbose=0), "the labels reach from 1 to 3, but the model's output has 3 classes: 0 to 2"),
    (lambda: classifier().fit(X, keras.utils.to_categorical(Y), verbose=0), "for one-hot labels there is categorical_crossentropy"),
    (lambda: regressor(loss="categorical_crossentropy", inputs=4).fit(X, np.ones((12, 2)), verbose=0), "the targets have the shape"),
    (lambda: regressor(loss=None).fit(X, Y, verbose=0), "has no loss to lower"),
    (lambda: regressor().fit(X, Y, sample_weight=np.ones(12), class_weight={0: 1}, verbose=0), "cannot both be given"),
    (lambda: regressor().fit(X, Y, sample_weight=np.ones(5), verbose=0), "the numbers of samples differ: x 12, y 12, sample_weight 5"),
    (lambda: regressor().fit(X, Y, callbacks=[callbacks.History], verbose=0), "callbacks must be Callback objects, not History, the class"),
    (lambda: regressor().fit(X, Y, epochs=2, initial_epoch=3, verbose=0), "must not be below initial_epoch=3"),
    (lambda: two_by_two().predict([np.ones((2, 4))], verbose=0), "the model takes 2 inputs, but got 1"),
    (lambda: keras.optimizers.Adam(learning_rat=0.1), "Adam has no argument 'learning_rat'"),
    (lambda: keras.optimizers.Adam(learning_rate=-1), "the learning rate must be a number from 0 on"),
    (lambda: keras.optimizers.SGD(clipnorm=1, clipvalue=1), "only one of clipnorm, clipvalue and global_clipnorm"),
    (lambda: keras.losses.Huber(gamma=1), "Huber has no argument gamma; it takes delta, reduction, name"),
]


@pytest.mark.parametrize("call, words", REFUSED, ids=[w[:30] for _, w in REFUSED])
def test_what_cannot_be_learnt_is_refused_in_words(call, words):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=words):
        call()


def test_a_model_without_free_weights_is_refused():
    model = regressor()
    model.trainable = False
    with pytest.raises(ValueError, match="no weights to train: every layer is frozen"):
        model.fit(X, Y, verbose=0)


# ---- the example ----------------------------------------------------------------------------------------------------------

def test_the_example_learns_and_its_saved_model_says_the_same(tmp_path):
    pytest.importorskip("sklearn")
    done = subprocess.run([sys.executable, ROOT / "examples" / "keras_digits.py", "--epochs", "4", "--verbose", "2", "--out", tmp_path / "out"],
                          capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-2:]
    accuracy = float(last[0].split("%")[0].split()[-1])
    assert accuracy > 90 and last[1].endswith(f"{accuracy:.2f}%"), done.stdout


def test_the_example_says_what_is_wrong_in_one_line(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "examples" / "keras_digits.py", "--data", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and done.stderr.startswith("keras_digits.py: ") and len(done.stderr.splitlines()) == 1
