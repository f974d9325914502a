"""examples/gpt.py and examples/bert.py: small trainings from beginning to end, what they write, and what they refuse."""
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch as torch
from minitorch import models

EXAMPLES = Path(__file__).parent.parent / "examples"
pytest.importorskip("safetensors")
sys.path.insert(0, str(EXAMPLES))
import bert  # noqa: E402
import gpt  # noqa: E402
import stdlib_text  # noqa: E402
from text_training import command  # noqa: E402

SMALL = "--epochs 2 --steps 2 --size 8 --heads 2 --layers 1 --batch-size 2".split()


def test_the_standard_librarys_text_is_the_same_every_time():
    first, again = stdlib_text.sources(50_000), stdlib_text.sources(50_000)
    assert first == again and sum(len(text) for _, text in first) == 50_000
    assert all(name.split(".")[0] == "json" for name, _ in stdlib_text.sources(only={"json"}))
    documented = dict(stdlib_text.docstrings(only={"json"}))
    assert "JSON" in documented["json"] and "isinstance(" not in documented["json.encoder"]


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_gpt_learns_from_a_file_and_writes_on_from_its_folder(kind, tmp_path, capsys):
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    text = tmp_path / "text"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 200, "utf-8")
    out = ["--out", str(tmp_path / "out"), "--context", "16", "--length", "9"]
    assert command("gpt.py", gpt.run, ["--data", str(text), "--tokens", kind, "--vocabulary", "270", *SMALL, *out]) == 0
    assert "bits a character" in capsys.readouterr().out
    written = []
    for _ in range(2):
        assert command("gpt.py", gpt.run, ["--pretrained", str(tmp_path / "out"), "--prompt", "the fox", "--length", "5"]) == 0
        written.append(capsys.readouterr().out.rpartition(" weights")[0])
    assert written[0] == written[1] and written[0].lstrip("\n").startswith("the fox")


@pytest.mark.parametrize("options, words", [
    (["--pretrained", "nowhere"], "no folder 'nowhere'"), (["--data", "short"], "too short"), (["--data", "bytes"], "no UTF-8 text"),
    (["--data", "missing"], "missing")])
def test_gpt_says_what_is_wrong_in_one_line(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("short", "utf-8")
    Path("bytes").write_bytes(b"\xff\xfe")
    assert command("gpt.py", gpt.run, options) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("gpt.py: ") and words in lines[0]


def test_gpt_without_the_library_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (tmp_path / "text").write_text("some text", "utf-8")
    assert command("gpt.py", gpt.run, ["--data", str(tmp_path / "text"), "--tokens", "bpe"]) == 1
    assert "python -m pip install tokenizers" in capsys.readouterr().err


def test_the_examination_covers_every_token_once():
    asked = []

    class Model(torch.nn.Module):
        def forward(self, ids):
            asked.extend(ids.flatten().tolist())
            return models.outputs.HeadOutput(logits=torch.zeros(*ids.shape, 50))
    loss = gpt.examined(Model(), torch.arange(49), 8)
    assert asked == list(range(48)) and np.isclose(loss, np.log(50))


def test_a_seventh_of_the_words_is_asked_for_and_most_of_those_hidden():
    torch.manual_seed(0)
    words = bert.Words([["one", "two", "three"] * 3], 3)
    ids = words.tensor([["one", "unseen", "two", "three"]] * 2000, 6)
    assert words.decode(ids[0].tolist()) == ["<piece>", "one", "<unknown>", "two", "three", "<pad>"]
    given, asked = bert.with_holes(ids, words)
    here = asked != bert.HIDDEN
    assert (asked[here] == ids[here]).all() and (given[~here] == ids[~here]).all()
    assert not here[:, [0, 2, 5]].any()              # an opening, an unknown word and padding are not asked for
    assert abs(here[:, [1, 3, 4]].float().mean().item() - 0.15) < 0.02
    hidden, left = (given[here] == words.mask).float().mean().item(), (given[here] == ids[here]).float().mean().item()
    assert abs(hidden - 0.8) < 0.05 and abs(left - (0.1 + 0.1 / 3)) < 0.05


def test_bert_learns_twice_and_writes_both_models(tmp_path, capsys):
    arguments = [*SMALL, "--rounds", "1", "--labelled", "8", "--test", "8", "--vocabulary", "50", "--length", "16", "--batch-size", "8",
                 "--out", str(tmp_path)]
    assert command("bert.py", bert.run, arguments) == 0
    assert "by frequency alone" in capsys.readouterr().out
    assert models.BertForMaskedLM.from_pretrained(tmp_path / "masked").config.vocab_size == 54
    assert models.BertForSequenceClassification.from_pretrained(tmp_path / "topics").config.id2label[0] == "concurrency"
