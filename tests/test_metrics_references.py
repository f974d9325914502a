"""Metrics against scikit-learn's and sacrebleu's over random cases, missing classes and ties among them."""
import numpy as np
import pytest

from minitorch import metrics

AVERAGES = ("macro", "micro", "weighted", "none")


@pytest.fixture
def sk():
    pytest.importorskip("sklearn")
    return __import__("sklearn.metrics").metrics


def drawn(seed):
    """Predictions and targets of up to six classes, not all of which occur in both."""
    rng = np.random.default_rng(seed)
    n, C = int(rng.integers(1, 12)), int(rng.integers(1, 6))
    return rng.integers(0, C, n) * 2, rng.integers(0, C + 1, n) * 2, rng


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seed", range(40))
def test_precision_recall_f1_and_confusion_matrices_are_scikit_learns(sk, seed):
    x, t, rng = drawn(seed)
    every = np.union1d(x, t)
    chosen = rng.permutation(np.append(every, 99))[:rng.integers(1, len(every) + 2)]
    for labels in (None, chosen):
        for zero in (0.0, 1.0, np.nan):
            for name, theirs in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
                for average in AVERAGES:
                    ours = getattr(metrics, name)(x, t, average=average, labels=labels, zero_division=zero)
                    expected = theirs(t, x, average=None if average == "none" else average, labels=labels, zero_division=zero)
                    np.testing.assert_allclose(ours, expected, rtol=1e-12, err_msg=f"{name} {average} {labels} {zero}")
        for normalize in (None, "true", "pred", "all"):
            if labels is None or np.isin(labels, t).any():
                ours = metrics.confusion_matrix(x, t, labels=labels, normalize=normalize)
                np.testing.assert_allclose(ours, sk.confusion_matrix(t, x, labels=labels, normalize=normalize), rtol=1e-12)
            else:
                for refuse, (a, b) in ((metrics.confusion_matrix, (x, t)), (sk.confusion_matrix, (t, x))):
                    with pytest.raises(ValueError):
                        refuse(a, b, labels=labels)


@pytest.mark.parametrize("seed", range(25))
def test_accuracy_and_auc_are_scikit_learns(sk, seed):
    x, t, rng = drawn(seed)
    assert metrics.accuracy(x, t) == pytest.approx(sk.accuracy_score(t, x))
    C, n = int(rng.integers(3, 7)), int(rng.integers(5, 20))
    scores, target = rng.normal(size=(n, C)), rng.integers(0, C, n)
    for k in range(1, C):
        assert metrics.accuracy(scores, target, k=k) == pytest.approx(sk.top_k_accuracy_score(target, scores, k=k, labels=np.arange(C)))
    target = np.append(rng.integers(0, 2, n), [0, 1])
    scores = rng.integers(0, 5, n + 2) / 4           # ties
    assert metrics.roc_auc(scores, target) == pytest.approx(sk.roc_auc_score(target, scores))


@pytest.mark.parametrize("seed", range(20))
def test_regression_is_scikit_learns(sk, seed):
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=(2, 9, 3)[:2 + seed % 2])
    assert metrics.mean_squared_error(x, t) == pytest.approx(sk.mean_squared_error(t, x))
    assert metrics.mean_absolute_error(x, t) == pytest.approx(sk.mean_absolute_error(t, x))
    t[..., -1:] = t[..., -1:] if seed % 3 else 1.0
    assert metrics.r2(x, t) == pytest.approx(sk.r2_score(t, x))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("smooth", ["none", "floor", "add-k", "exp"])
def test_bleu_is_sacrebleus(seed, smooth):
    sacrebleu = pytest.importorskip("sacrebleu")
    rng = np.random.default_rng(seed)
    vocabulary = list("abcdefg")[:rng.integers(2, 8)]

    def sentence():
        return [str(w) for w in rng.choice(vocabulary, rng.integers(1, 9))]
    candidates = [sentence() for _ in range(rng.integers(1, 5))]
    references = [[sentence() for _ in range(rng.integers(1, 4))] for _ in candidates]
    for max_n, value in ((4, None), (2, 0.7)):
        reference = sacrebleu.BLEU(tokenize="none", smooth_method=smooth, smooth_value=value, max_ngram_order=max_n, force=True)
        most = max(map(len, references))
        streams = [[" ".join(r[i]) if i < len(r) else None for r in references] for i in range(most)]
        theirs = reference.corpus_score([" ".join(c) for c in candidates], streams).score / 100
        assert metrics.bleu(candidates, references, max_n, smooth=smooth, smooth_value=value) == pytest.approx(theirs, rel=1e-9, abs=1e-12)
