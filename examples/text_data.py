"""Text for classifiers: words and their numbers, padded batches, and two sources of labelled texts.

By default the texts are pieces of the standard library's own source, labelled with what the module is for; the pieces to test on
come from modules that training never saw.  `imdb` reads the 50,000 film reviews of Maas et al. (2011) from a folder.
"""
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import stdlib_text
from text_training import Mistake

import minitorch as torch
from minitorch import nn
from minitorch.nn.utils.rnn import pad_sequence
from minitorch.utils.data import DataLoader, Dataset, Sampler

PAD, UNKNOWN = 0, 1
TOPICS = {
    "concurrency": "asyncio concurrent contextvars multiprocessing queue sched selectors subprocess threading",
    "files": "bz2 filecmp fileinput fnmatch genericpath glob gzip lzma ntpath os pathlib posixpath shutil tarfile tempfile zipfile",
    "internet": "cgi email ftplib http imaplib ipaddress mailbox mimetypes poplib smtplib socket socketserver ssl urllib wsgiref xmlrpc",
    "numbers": "_pydatetime _pydecimal _strptime calendar colorsys datetime fractions numbers random statistics zoneinfo",
}


# ---- words and numbers ----------------------------------------------------------------------------------------------

def words(text):
    """The words of a text in lower case, parts of names_like_this on their own, and each sign of punctuation."""
    return re.findall(r"[^\W_]+|[^\w\s]", text.lower())


class Vocabulary:
    """Numbers for words: 0 is padding, 1 stands for all words not among the `size` most frequent, or seen fewer than `at_least` times."""

    def __init__(self, texts, size=10_000, at_least=2):
        counts = Counter(word for text in texts for word in text)
        frequent = sorted((word for word, n in counts.items() if n >= at_least), key=lambda word: (-counts[word], word))
        self.words = ["<pad>", "<unknown>", *frequent[:size]]
        self.numbers = {word: i for i, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def encode(self, text):
        return [self.numbers.get(word, UNKNOWN) for word in text]

    def decode(self, numbers):
        return [self.words[i] for i in numbers]


# ---- batches --------------------------------------------------------------------------------------------------------

class Labelled(Dataset):
    """Texts as tensors of word numbers, and the number of each one's class."""

    def __init__(self, vocabulary, pairs, classes):
        self.texts = [torch.tensor(vocabulary.encode(text)) for text, _ in pairs]
        self.labels = [classes.index(label) for _, label in pairs]

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, i):
        return self.texts[i], self.labels[i]


def collate(batch):
    """A list of (text, label) -> words (N, T), padded at the end; lengths (N,); labels (N,)."""
    texts, labels = zip(*batch)
    return pad_sequence(texts, batch_first=True, padding_value=PAD), torch.tensor([len(t) for t in texts]), torch.tensor(labels)


class ByLength(Sampler):
    """Batches of texts of similar length, for little padding, in random order: sorted within pools of `pool` batches."""

    def __init__(self, lengths, batch_size, pool=20):
        self.lengths, self.batch_size, self.pool = lengths, batch_size, pool

    def __len__(self):
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self):
        order, room = torch.randperm(len(self.lengths)).tolist(), self.batch_size * self.pool
        batches = []
        for start in range(0, len(order), room):
            pool = sorted(order[start:start + room], key=lambda i: self.lengths[i])
            batches += [pool[i:i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        return (batches[i] for i in torch.randperm(len(batches)).tolist())


def embedding(vocabulary, width):
    """A vector of `width` for each word: short ones to begin with, so that a word hardly seen in training hardly counts."""
    made = nn.Embedding(len(vocabulary), width, padding_idx=PAD)
    with torch.no_grad():
        made.weight.mul_(0.02)
    return made


# ---- the texts ------------------------------------------------------------------------------------------------------

class Texts(NamedTuple):
    """What a classifier is trained on and tested with."""
    name: str
    classes: list
    vocabulary: Vocabulary
    train: Labelled
    test: Labelled

    def batches(self, batch_size):
        """(training batches in random order, test batches)."""
        lengths = [len(text) for text in self.train.texts]
        return (DataLoader(self.train, batch_sampler=ByLength(lengths, batch_size), collate_fn=collate),
                DataLoader(self.test, 128, collate_fn=collate))

    def __str__(self):
        return f"{self.name}: {len(self.train)} texts to train, {len(self.test)} to test, {len(self.classes)} classes, {len(self.vocabulary)} words"


def prepared(name, classes, train, test):
    """Texts of two lists of (words, label); the vocabulary is that of the training texts."""
    vocabulary = Vocabulary(text for text, _ in train)
    return Texts(name, classes, vocabulary, Labelled(vocabulary, train, classes), Labelled(vocabulary, test, classes))


def held_out(items):
    """(to train, to test): every fourth one is held out."""
    return [item for i, item in enumerate(items) if i % 4], items[::4]


def pieces(text, length):
    """The text in pieces of whole lines, of `length` words and few more, as lists of words."""
    found, piece = [], []
    for line in text.splitlines():
        piece += words(line)
        if len(piece) >= length:
            found.append(piece[:2 * length])         # a table in one line is not all of it needed
            piece = []
    return found


def standard_library(length=100):
    """Pieces of source code, to be told what they are for, a key of TOPICS; of each topic a quarter of the modules is kept for the test."""
    parts = [], []
    for topic, modules in TOPICS.items():
        for part, some in zip(parts, held_out(stdlib_text.sources(only=set(modules.split())))):
            part.extend((piece, topic) for _, text in some for piece in pieces(text, length))
    return prepared("pieces of the standard library", list(TOPICS), *parts)


def imdb(folder, length=400):
    """Film reviews and whether they are positive, from the folder aclImdb as it is unpacked; the first `length` words of each.

    Mistake, in words, where the folder is not of that form: {train,test}/{neg,pos}/*.txt.
    """
    root = Path(folder)
    if not root.is_dir():
        raise Mistake(f"--data: no folder {root}")
    root = root / "aclImdb" if (root / "aclImdb").is_dir() else root
    missing = [f"{part}/{label}" for part in ("train", "test") for label in ("neg", "pos") if not (root / part / label).is_dir()]
    if missing:
        raise Mistake(f"--data: {root} has no {', '.join(missing)}: it should hold reviews in {{train,test}}/{{neg,pos}}/*.txt")
    lists = []
    for part in ("train", "test"):
        pairs = []
        for label in ("neg", "pos"):
            paths = sorted((root / part / label).glob("*.txt"))
            if not paths:
                raise Mistake(f"--data: no reviews (*.txt) in {root / part / label}")
            pairs += [(words(review(path))[:length], label) for path in paths]
        lists.append([(text, label) for text, label in pairs if text])
    return prepared("film reviews", ["neg", "pos"], *lists)


def review(path):
    """The text of one file, without its line breaks in HTML; Mistake where it is no text."""
    try:
        return path.read_text("utf-8").replace("<br />", " ")
    except UnicodeDecodeError as error:
        raise Mistake(f"--data: {path} is not text in UTF-8 ({error.reason} at byte {error.start})") from None


def texts(folder):
    """imdb(folder), or the standard library for None."""
    return imdb(folder) if folder else standard_library()
