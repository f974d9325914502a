"""The text examples: they learn, read folders of reviews, refuse broken ones, and their algorithms agree with brute force."""
import io
import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch as torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import crf  # noqa: E402
import decoding  # noqa: E402
import seq2seq  # noqa: E402
import stdlib_text  # noqa: E402
import tagging  # noqa: E402
import text_cnn  # noqa: E402
import text_data  # noqa: E402
import text_rnn  # noqa: E402
import text_training  # noqa: E402
import transformer  # noqa: E402

SCRIPTS = {module.__name__: module for module in (text_cnn, text_rnn, tagging, seq2seq, transformer)}


@pytest.fixture
def reviews(tmp_path):
    """A folder like aclImdb, of 48 reviews to train and 16 to test, whose first words tell."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 24), ("test", 8)):
        for label, word in (("neg", "awful"), ("pos", "lovely")):
            folder = tmp_path / "aclImdb" / part / label
            folder.mkdir(parents=True)
            for i in range(n):
                rest = " ".join(rng.choice("a film about the sea and its fish".split(), rng.integers(0, 9)))
                (folder / f"{i}_7.txt").write_text(f"{word} {word}<br />{rest}", "utf-8")
    return tmp_path / "aclImdb"


# ---- the scripts ----------------------------------------------------------------------------------------------------

RUNS = {
    "text_cnn": "text_cnn --data {data} --epochs 4 --batch-size 8 --width 16 --channels 8 --lr 0.02",
    "lstm": "text_rnn --data {data} --epochs 4 --batch-size 8 --width 16 --hidden 8 --lr 0.02",
    "gru, attention": "text_rnn --data {data} --epochs 4 --batch-size 8 --width 16 --hidden 8 --lr 0.02 --cell gru --attention",
    "rnn, one way": "text_rnn --data {data} --epochs 4 --batch-size 8 --width 16 --hidden 8 --lr 0.02 --cell rnn --one-way",
    "tagging": "tagging --size 30000 --epochs 3 --batch-size 16 --width 16 --hidden 16 --lr 0.02",
    "crf": "tagging --size 30000 --epochs 3 --batch-size 16 --width 16 --hidden 16 --lr 0.02 --crf",
    "seq2seq": "seq2seq --dates 192 --test 20 --epochs 2 --batch-size 32 --width 16 --hidden 16 --lr 0.02 --beam 2",
    "seq2seq, no attention": "seq2seq --dates 192 --test 20 --epochs 2 --batch-size 32 --width 16 --hidden 16 --lr 0.02 --no-attention --beam 2",
    "transformer": "transformer --steps 10 --test 20 --epochs 2 --batch-size 16 --width 16 --heads 2 --layers 1 --warmup 10 --lr 0.3 --beam 2",
}


@pytest.mark.parametrize("command", RUNS.values(), ids=RUNS)
def test_the_loss_falls_and_the_last_line_has_the_figure(command, reviews, capsys):
    name, *argv = command.format(data=reviews).split()
    assert text_training.command(name, SCRIPTS[name].run, argv) == 0
    said = capsys.readouterr().out
    losses = [float(x) for x in re.findall(r"loss (\S+)", said)]
    assert len(losses) > 1 and losses[-1] < losses[0]
    assert re.search(r"(accuracy|exact match) \d+\.\d%.*, \d+ s$", said.strip())


def test_a_classifier_learns_which_words_tell(reviews, capsys):
    assert text_cnn.run(["--data", str(reviews), "--epochs", "10", "--batch-size", "8", "--lr", "0.02"]) == "test accuracy 100.0%"


def test_the_same_seed_gives_the_same_figures(capsys):
    command = "--steps 4 --test 10 --epochs 2 --batch-size 8 --width 16 --heads 2 --layers 1 --beam 1 --dropout 0.1 --seed {}"
    said = []
    for seed in (3, 3, 4):
        transformer.run(command.format(seed).split())
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != said[2]


def test_saved_weights_are_loaded_and_others_refused(reviews, tmp_path, capsys):
    file, small = tmp_path / "weights", ["--data", str(reviews), "--width", "8", "--channels", "4", "--epochs", "2"]
    figure = text_cnn.run([*small, "--save", str(file)])
    capsys.readouterr()
    assert text_cnn.run([*small, "--load", str(file)]) == figure
    assert "epoch" not in capsys.readouterr().out
    with pytest.raises(text_training.Mistake, match="no weights for these options"):
        text_cnn.run([*small, "--width", "9", "--load", str(file)])
    (reviews / "train" / "pos" / "more.txt").write_text("new new", "utf-8")
    with pytest.raises(text_training.Mistake, match="other words"):
        text_cnn.run([*small, "--load", str(file)])
    file.write_bytes(b"no weights")
    with pytest.raises(text_training.Mistake, match="no weights"):
        text_cnn.run([*small, "--load", str(file)])


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_begins_with_what_the_script_does(name, capsys):
    with pytest.raises(SystemExit) as stop:
        SCRIPTS[name].run(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and " ".join(SCRIPTS[name].__doc__.split("\n\n")[0].split()) in said and "--seed" in said


@pytest.mark.parametrize("name, argv, says", [
    ("text_cnn", "--data nowhere", "no folder nowhere"),
    ("text_cnn", "--lr 1e30 --data {data}", "try a lower --lr"),
    ("transformer", "--try shuffle_abc", "must be \"reverse\" or \"sort\""),
    ("seq2seq", "--try 3/4/1999", "give a date of letters"),
    ("tagging", "--try ()", "words of Python"),
    ("tagging", "--size 10", "--size: 10 characters"),
])
def test_what_the_user_can_put_right_is_one_line(name, argv, says, reviews, capsys):
    assert text_training.command(f"{name}.py", SCRIPTS[name].run, argv.format(data=reviews).split()) == 1
    said = capsys.readouterr().err
    assert says in said and said.startswith(f"{name}.py: ") and said.count("\n") == 1


@pytest.mark.parametrize("name, argv, says", [
    ("text_cnn", "--seed -1", "whole number from 0 on"),
    ("text_rnn", "--cell elman", "invalid choice"),
    ("text_rnn", "--dropout 1", "below 1"),
    ("transformer", "--heads 5", "multiple of --heads"),
    ("seq2seq", "--dates 80000", "at most"),
    ("tagging", "--epochs 0", "above zero"),
])
def test_options_out_of_range_are_refused(name, argv, says, capsys):
    with pytest.raises(SystemExit) as stop:
        SCRIPTS[name].run(argv.split())
    assert stop.value.code == 2 and says in capsys.readouterr().err


# ---- text_data ------------------------------------------------------------------------------------------------------

def test_a_vocabulary_gives_back_the_words_it_knows():
    v = text_data.Vocabulary([["b", "a", "b"], ["a", "c", "b"]])
    assert v.words == ["<pad>", "<unknown>", "b", "a"]
    assert v.decode(v.encode(["a", "b", "a"])) == ["a", "b", "a"]
    assert v.encode(["c", "d"]) == [text_data.UNKNOWN] * 2
    assert len(text_data.Vocabulary([["b", "a", "b", "a"]], size=1)) == 3


def test_words_are_parted_at_underlines_and_signs():
    assert text_data.words("Don't read_file(x)!") == ["don", "'", "t", "read", "file", "(", "x", ")", "!"]


def test_batches_are_padded_at_the_end():
    words, lengths, labels = text_data.collate([(torch.tensor([5, 6]), 1), (torch.tensor([7]), 0)])
    assert words.tolist() == [[5, 6], [7, 0]] and lengths.tolist() == [2, 1] and labels.tolist() == [1, 0]


def test_batches_by_length_hold_every_text_once_with_little_padding():
    torch.manual_seed(0)
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    batches = list(text_data.ByLength(lengths, 16))
    assert len(batches) == len(text_data.ByLength(lengths, 16))
    assert sorted(i for batch in batches for i in batch) == list(range(1000))
    padded = sum(max(lengths[batch]) * len(batch) for batch in batches)
    assert padded < 1.2 * sum(lengths)
    assert list(text_data.ByLength(lengths, 16)) != batches


def test_reviews_are_read(reviews):
    for folder in (reviews, reviews.parent):
        data = text_data.imdb(folder)
        assert (len(data.train), len(data.test), data.classes) == (48, 16, ["neg", "pos"])
    words, label = data.train[0]
    assert data.vocabulary.decode(words[:2].tolist()) == ["awful", "awful"] and label == 0
    assert "br" not in data.vocabulary.words


BREAKS = {
    "no test/pos": lambda root: [path.unlink() for path in (root / "test" / "pos").iterdir()] and (root / "test" / "pos").rmdir(),
    "no reviews": lambda root: [path.unlink() for path in (root / "train" / "neg").iterdir()],
    "is not text in UTF-8": lambda root: (root / "train" / "neg" / "9_1.txt").write_bytes(b"caf\xe9 \xff"),
}


@pytest.mark.parametrize("says", BREAKS)
def test_broken_folders_of_reviews_are_refused(says, reviews):
    BREAKS[says](reviews)
    with pytest.raises(text_training.Mistake, match=re.escape(says)):
        text_data.imdb(reviews)


def test_the_test_texts_come_from_other_modules(monkeypatch):
    monkeypatch.setattr(text_data, "TOPICS", {"numbers": "fractions statistics random colorsys", "files": "glob shutil tempfile filecmp"})
    data = text_data.standard_library()
    train, test = text_data.held_out(stdlib_text.sources(only={"fractions", "statistics", "random", "colorsys"}))
    assert len(train) == 3 and len(test) == 1 and not {name for name, _ in train} & {name for name, _ in test}
    known = {tuple(t.tolist()) for t in data.train.texts}
    assert data.classes == ["numbers", "files"] and len(data.test) > 10
    assert not any(tuple(t.tolist()) in known for t in data.test.texts)
    assert all(100 <= len(t) <= 200 for t in data.train.texts)


# ---- the models -----------------------------------------------------------------------------------------------------

def models():
    torch.manual_seed(0)
    yield "cnn", text_cnn.TextCNN(range(20), 3, 8, 4, [1, 3, 5], 0.0)
    for cell, attention in itertools.product(text_rnn.CELLS, (False, True)):
        yield f"{cell}{' with attention' * attention}", text_rnn.TextRNN(range(20), 3, cell, 8, 6, False, attention, 0.0)


@pytest.mark.parametrize("name, model", list(models()), ids=lambda x: x if isinstance(x, str) else "")
def test_padding_does_not_change_what_a_text_is_classified_as(name, model):
    texts = [torch.randint(2, 20, (n,)) for n in (9, 2, 6)]
    words, lengths, _ = text_data.collate([(text, 0) for text in texts])
    together = model(words, lengths)
    for text, scores in zip(texts, together):
        alone = model(text.unsqueeze(0), torch.tensor([len(text)]))[0]
        torch.testing.assert_close(scores, alone, rtol=1e-4, atol=1e-5)
    if "attention" in name:
        assert np.allclose(model.weights.sum(1).detach().numpy(), 1)


def test_the_transformer_sees_no_later_token_and_no_padding():
    torch.manual_seed(0)
    model = transformer.Model(16, 2, 1, 0.0)
    source, target = torch.randint(5, 20, (2, 6)), torch.randint(5, 20, (2, 5))
    scores = model(source, target)
    changed = target.clone()
    changed[:, 3] = 7 + changed[:, 3] % 5
    assert not np.allclose(model(source, changed)[:, 3:].detach(), scores[:, 3:].detach())
    torch.testing.assert_close(model(source, changed)[:, :3], scores[:, :3], rtol=1e-4, atol=1e-5)
    padded = torch.nn.functional.pad(source, (0, 2), value=transformer.PAD)
    torch.testing.assert_close(model(padded, target), scores, rtol=1e-4, atol=1e-5)


# ---- the conditional random field -----------------------------------------------------------------------------------

def random_field(tags, lengths):
    """(field, emissions, mask) with random parameters, in float64."""
    torch.manual_seed(0)
    field = crf.CRF(tags).double()
    for p in field.parameters():
        torch.nn.init.normal_(p)
    emissions = torch.randn(len(lengths), max(lengths), tags, dtype=torch.float64)
    return field, emissions, torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)


def every_score(field, emissions):
    """{tags: score} of one sequence (T, K), written out."""
    start, end, steps = (p.detach().numpy() for p in (field.start, field.end, field.transitions))
    e = emissions.numpy()
    return {tags: start[tags[0]] + sum(e[t, k] for t, k in enumerate(tags)) + sum(steps[a, b] for a, b in zip(tags, tags[1:])) + end[tags[-1]]
            for tags in itertools.product(range(e.shape[1]), repeat=len(e))}


def test_the_crf_agrees_with_all_sequences_written_out():
    lengths = [4, 1, 3]
    field, emissions, mask = random_field(3, lengths)
    partition, best = field.log_partition(emissions, mask), field.best(emissions, mask)
    for i, n in enumerate(lengths):
        scores = every_score(field, emissions[i, :n])
        assert partition[i].item() == pytest.approx(np.logaddexp.reduce(list(scores.values())), rel=1e-12)
        assert tuple(best[i, :n].tolist()) == max(scores, key=scores.get)
        for tags in list(scores)[::5]:
            padded = torch.tensor([[*tags, *[0] * (max(lengths) - n)]])
            assert field.score(emissions[i:i + 1], padded, mask[i:i + 1]).item() == pytest.approx(scores[tags], rel=1e-12)


def test_the_probabilities_of_a_crf_sum_to_one_and_its_gradient_is_right():
    field, emissions, mask = random_field(2, [3])
    total = sum(np.exp(-field(emissions, torch.tensor([tags]), mask).item()) for tags in itertools.product(range(2), repeat=3))
    assert total == pytest.approx(1, rel=1e-12)
    field, emissions, mask = random_field(3, [4, 2])
    tags = torch.randint(0, 3, (2, 4))
    assert torch.autograd.gradcheck(lambda e: field(e, tags, mask), emissions.requires_grad_())


# ---- decoding -------------------------------------------------------------------------------------------------------

END, START, STEPS = 0, 1, 4


def language(n, tokens=4):
    """n random models of the next token after the last two, as log_probs for `width` prefixes of each, and log p of a given sequence."""
    table = torch.log_softmax(2 * torch.from_numpy(np.random.default_rng(0).normal(size=(n, tokens, tokens, tokens))), 3)

    def log_probs(prefixes):
        model = torch.arange(len(prefixes)) // (len(prefixes) // n)
        before = prefixes[:, -2] if prefixes.shape[1] > 1 else prefixes[:, -1]
        return table[model, before, prefixes[:, -1]]

    def log_p(model, sequence):
        whole = [START, START, *sequence]
        return sum(table[model, a, b, c].item() for a, b, c in zip(whole, whole[1:], whole[2:]))
    return log_probs, log_p


def sequences(tokens=4):
    """All sequences that a search for STEPS tokens could give: they stop after END or are cut off."""
    for whole in itertools.product(range(tokens), repeat=STEPS):
        length = whole.index(END) + 1 if END in whole else STEPS
        if not any(whole[length:]):
            yield whole[:length]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(alpha):
    log_probs, log_p = language(8)
    found = decoding.beam(log_probs, 8, START, END, STEPS, width=4 ** STEPS, alpha=alpha)
    for model, row in enumerate(found):
        best = max(sequences(), key=lambda s: log_p(model, s) / ((5 + len(s)) / 6) ** alpha)
        assert decoding.until(row, END) == [token for token in best if token != END]


def test_a_beam_of_one_is_greedy_and_a_wider_one_is_no_worse():
    log_probs, log_p = language(8)
    greedy = decoding.greedy(log_probs, 8, START, END, STEPS)
    one, four = (decoding.beam(log_probs, 8, START, END, STEPS, width, alpha=0.0) for width in (1, 4))

    def cut(row):
        row = row.tolist()
        return row[:row.index(END) + 1] if END in row else row
    assert [cut(row) for row in one] == [cut(row) for row in greedy]
    gains = [log_p(i, cut(four[i])) - log_p(i, cut(one[i])) for i in range(8)]
    assert min(gains) > -1e-9 and max(gains) > 0.01


# ---- generated data -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("year, words", [(1900, "nineteen hundred"), (1905, "nineteen oh five"), (1917, "nineteen seventeen"),
                                         (2000, "two thousand"), (2009, "two thousand nine"), (2012, "twenty twelve"), (2040, "twenty forty")])
def test_years_in_words(year, words):
    assert seq2seq.year_in_words(year) == words


def test_days_in_words_are_different_and_dates_to_test_are_others():
    assert len({seq2seq.day_in_words(n) for n in range(1, 32)}) == 31
    assert [seq2seq.day_in_words(n) for n in (1, 12, 20, 21, 30)] == ["first", "twelfth", "twentieth", "twenty first", "thirtieth"]
    train, test = seq2seq.drawn(0, 300, 100)
    assert len(train) == 300 and len(test) == 100 and not {iso for _, iso in train} & {iso for _, iso in test}


def test_reversed_and_sorted_sequences():
    assert transformer.example(transformer.REVERSE, [7, 9, 7, 5]) == ([transformer.REVERSE, 7, 9, 7, 5], [1, 5, 7, 9, 7, 2])
    assert transformer.example(transformer.SORT, [7, 9, 7, 5]) == ([transformer.SORT, 7, 9, 7, 5], [1, 5, 7, 7, 9, 2])


def test_words_of_code_are_tagged():
    source = "import os.path as p\nclass A(B):\n    def f(self, x=g(1), *rest):\n        y = self.h(x, key='v')[os.sep]\n"
    assert [" ".join(f"{word}/{tag}" for word, tag in line) for line in tagging.tagged_lines(source)] == [
        "import/keyword os/module path/module as/keyword p/module",
        "class/keyword A/class B/name",
        "def/keyword f/function self/parameter x/parameter g/call <number>/value rest/parameter",
        "y/assigned self/name h/call x/name key/argument <string>/value os/name sep/attribute"]


def test_a_source_that_breaks_off_gives_its_statements_so_far():
    assert tagging.tagged_lines("a = b + c\nd = (e +\n") == [[("a", "assigned"), ("b", "name"), ("c", "name")]]


def test_f1_of_a_table():
    assert tagging.f1(np.array([[3, 1], [2, 0]])).tolist() == [2 * 3 / (4 + 5), 0.0]


def test_the_bar_is_no_part_of_the_output(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    transformer.run("--steps 2 --test 4 --epochs 1 --batch-size 4 --width 8 --heads 1 --layers 1 --beam 1".split())
    assert "\r" not in stream.getvalue()
