"""Metrics by hand: small cases whose answers can be counted, ties, missing classes, kinds of input, and refusals."""
import math

import numpy as np
import pytest

import minitorch
from minitorch import metrics

X, T = [0, 1, 2, 2, 1, 0], [0, 2, 2, 2, 1, 1]


def test_a_confusion_matrix_has_targets_in_rows():
    np.testing.assert_array_equal(metrics.confusion_matrix(np.array(X), np.array(T)), [[1, 0, 0], [1, 1, 0], [0, 1, 2]])
    np.testing.assert_array_equal(metrics.confusion_matrix(np.array(X), np.array(T), labels=[2, 0, 7]), [[2, 0, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(metrics.confusion_matrix(X, T, labels=[2, 7], normalize="true"), [[1, 0], [0, 0]])


def test_precision_recall_and_f1_by_hand():
    assert metrics.precision(X, T) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert metrics.recall(X, T) == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    np.testing.assert_allclose(metrics.f1(X, T, average="none"), [2 / 3, 1 / 2, 4 / 5])
    assert metrics.precision(X, T, average="micro") == metrics.accuracy(X, T) == pytest.approx(4 / 6)
    assert metrics.recall(X, T, average="weighted") == pytest.approx((1 * 1 + 2 / 2 + 3 * 2 / 3) / 6)


def test_a_class_that_never_occurs_counts_as_zero_division_says():
    for value in (0.0, 1.0):
        assert metrics.precision([0, 1], [0, 1], labels=[0, 1, 5], zero_division=value) == pytest.approx((2 + value) / 3)
    assert metrics.precision([0, 1], [0, 1], labels=[0, 1, 5], zero_division=float("nan")) == 1
    assert math.isnan(metrics.precision([0, 1], [0, 1], labels=[5], zero_division=float("nan")))


def test_scores_say_the_class_and_the_first_of_equal_ones_counts():
    scores = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7], [0.3, 0.3, 0.3]])
    assert metrics.accuracy(scores, [0, 2, 0]) == 1 and metrics.accuracy(scores, [1, 2, 1]) == pytest.approx(1 / 3)
    assert metrics.accuracy(scores, [1, 1, 2], k=2) == pytest.approx(2 / 3) and metrics.accuracy(scores, [1, 0, 2], k=3) == 1
    assert metrics.f1(scores, [0, 2, 0]) == metrics.f1(scores.argmax(1), [0, 2, 0]) == 1


def test_pictures_of_classes_are_counted_by_pixel():
    scores, target = np.random.default_rng(0).normal(size=(2, 3, 4, 5)), np.random.default_rng(1).integers(3, size=(2, 4, 5))
    assert metrics.accuracy(scores, target) == pytest.approx((scores.argmax(1) == target).mean())
    np.testing.assert_array_equal(metrics.confusion_matrix(scores, target), metrics.confusion_matrix(scores.argmax(1), target))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors_give_what_arrays_give(dtype):
    scores = minitorch.randn(6, 3, requires_grad=True).to(getattr(minitorch, dtype))
    target = minitorch.tensor([0, 1, 2, 0, 1, 2])
    array = scores.detach().float().numpy()
    for metric in (metrics.accuracy, metrics.f1, metrics.precision, metrics.recall, metrics.perplexity):
        assert metric(scores, target) == pytest.approx(metric(array, target.numpy()), rel=1e-6)
    m = metrics.confusion_matrix(scores, target)
    assert isinstance(m, minitorch.Tensor) and m.dtype is minitorch.int64 and m.sum().item() == 6
    assert isinstance(metrics.f1(scores, target, average="none"), minitorch.Tensor)


def test_roc_auc_counts_pairs():
    assert metrics.roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert metrics.roc_auc([1, 1, 1, 1], [0, 1, 0, 1]) == 0.5


def test_perplexity_is_the_exponential_of_cross_entropy():
    scores, target = minitorch.randn(2, 5, 7), minitorch.randint(0, 7, (2, 5))
    target[0, 3] = target[1, 1] = -100
    loss = minitorch.nn.functional.cross_entropy(scores.transpose(1, 2), target)
    for x in (scores, scores.log_softmax(-1)):
        assert metrics.perplexity(x, target) == pytest.approx(math.exp(loss.item()), rel=1e-5)
    assert metrics.perplexity(loss) == pytest.approx(math.exp(loss.item()), rel=1e-6)
    assert metrics.perplexity(scores, target.masked_fill(target == -100, 9), ignore_index=9) == metrics.perplexity(scores, target)
    assert metrics.perplexity(np.zeros((3, 8)), [0, 1, 2]) == pytest.approx(8)
    assert metrics.perplexity(np.array([[1e4, 0.0]]), [0]) == 1


def test_bleu_of_papineni():
    the = [["the"] * 7]
    references = [["the cat is on the mat".split(), "there is a cat on the mat".split()]]
    assert metrics.bleu(the, references, max_n=1) == pytest.approx(2 / 7)          # their example of clipping
    text = "a b c d e".split()
    assert metrics.bleu([text], [[text]]) == 1
    assert metrics.bleu([text[:4]], [[text]]) == pytest.approx(math.exp(1 - 5 / 4))
    assert metrics.bleu([text], [[list("vwxyz")]], smooth="exp") == 0
    assert metrics.bleu(["a b x d".split()], [["a b c d".split()]]) == 0 < metrics.bleu(["a b x d".split()], [["a b c d".split()]], smooth="floor")
    assert metrics.bleu([[1, 2, 3, 4]], [[[1, 2, 3, 4]]]) == 1                     # tokens may be numbers


def test_regression_by_hand():
    x, t = minitorch.tensor([1.0, 2.0, 4.0]), minitorch.tensor([1.0, 3.0, 2.0])
    assert metrics.mean_squared_error(x, t) == pytest.approx(5 / 3) and metrics.mean_absolute_error(x, t) == 1
    assert metrics.r2(x, t) == pytest.approx(1 - 5 / 2)
    assert metrics.r2([1.0, 1.0], [1.0, 1.0]) == 1 and metrics.r2([1.0, 2.0], [1.0, 1.0]) == 0


@pytest.mark.parametrize("metric, options", [(metrics.f1, dict(average="weighted")), (metrics.accuracy, dict(k=2)), (metrics.confusion_matrix, {})])
def test_batches_give_what_one_batch_gives(metric, options):
    scores, target = minitorch.randn(10, 4), minitorch.randint(0, 4, (10,))
    running = metrics.Running(metric, **options)
    for _ in range(2):
        for i in range(0, 10, 3):
            running.update(scores[i:i + 3], target[i:i + 3])
        a, b = running.compute(), metric(scores, target, **options)
        assert type(a) is type(b) and (minitorch.equal(a, b) if isinstance(a, minitorch.Tensor) else a == b)
        running.reset()
    with pytest.raises(ValueError, match="nothing to measure"):
        running.compute()


def test_a_batch_may_be_written_over_after_update():
    running, x = metrics.Running(metrics.accuracy), np.array([0, 1])
    running.update(x, np.array([0, 1]))
    x[:] = 7
    assert running.compute() == 1


@pytest.mark.parametrize("call, match", [
    (lambda: metrics.accuracy([], []), "empty"), (lambda: metrics.accuracy([1, 2], [1]), "fits target"),
    (lambda: metrics.accuracy([1, 2], [1, 2], k=2), "needs scores"), (lambda: metrics.accuracy(np.ones((2, 3)), [0, 1], k=4), "from 1 to the 3"),
    (lambda: metrics.accuracy(np.ones((2, 3)), [0, 3]), "from 0 to 3"), (lambda: metrics.accuracy(np.ones((2, 3)), [0, 0.5]), "whole numbers"),
    (lambda: metrics.accuracy(np.array([[np.nan, 1]]), [0]), "NaN"), (lambda: metrics.f1([0], [0], average="other"), "average"),
    (lambda: metrics.f1([0], [0], zero_division=3), "zero_division"), (lambda: metrics.f1([0], [0], labels=[1, 1]), "twice"),
    (lambda: metrics.f1([0], [0], labels=[]), "empty"), (lambda: metrics.confusion_matrix([0], [0], labels=[1]), "none of the labels"),
    (lambda: metrics.confusion_matrix([0], [0], normalize="x"), "normalize"), (lambda: metrics.roc_auc([0.1, 0.2], [1, 1]), "both classes"),
    (lambda: metrics.roc_auc([0.1, 0.2], [1, 2]), "both classes"), (lambda: metrics.perplexity(np.ones((2, 3)), [-100, -100]), "ignore_index"),
    (lambda: metrics.perplexity(np.ones((2, 3)), [0, 3]), "from 0 to 3"), (lambda: metrics.perplexity(np.ones((2, 3)), [0]), "does not hold"),
    (lambda: metrics.bleu([], []), "empty"), (lambda: metrics.bleu(["a b"], [["a b"]]), "text.split"),
    (lambda: metrics.bleu([["a"]], [["a"]]), "text.split"), (lambda: metrics.bleu([["a"]], [[]]), "no reference"),
    (lambda: metrics.bleu([["a"]], [[["a"]], [["b"]]]), "do not fit"), (lambda: metrics.bleu([["a"]], [[["a"]]], smooth="x"), "smooth"),
    (lambda: metrics.bleu([["a"]], [[["a"]]], max_n=0), "max_n"), (lambda: metrics.r2([1.0], [1.0]), "two samples"),
    (lambda: metrics.mean_squared_error([1.0], [1.0, 2.0]), "does not fit"), (lambda: metrics.mean_squared_error(["a"], [1.0]), "numbers"),
    (lambda: metrics.roc_auc([0.5], [0, 1]), "does not fit")])
def test_bad_input_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
