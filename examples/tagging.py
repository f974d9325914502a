"""Tag the words of Python code with what they are, the punctuation taken out: a bidirectional LSTM over words and their letters.

    python examples/tagging.py                       90 % and more of the words of modules that training never saw, in a minute
    python examples/tagging.py --crf                 with a conditional random field on top: tags that go together
    python examples/tagging.py --try "for name in self modules save name path"

The words and tags come from Python's own `tokenize`.  Which of the names in "self modules save name path" is called can only be guessed
from its neighbours, and what a new name may be from its letters (a convolution over characters: Ma & Hovy 2016).
"""
import io
import keyword
import re
import sys
import tokenize

import numpy as np
import stdlib_text
from crf import CRF
from text_data import PAD, Vocabulary, embedding, held_out
from text_training import Mistake, command, one_cycle, options, positive, share, size, train, trained

import minitorch as torch
from minitorch import nn
from minitorch.nn import functional as F
from minitorch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from minitorch.utils.data import DataLoader

TAGS = "keyword value name assigned attribute call argument parameter function class module".split()
IGNORE = -1                                          # at the padding
LONGEST_WORD = 12                                    # letters that are looked at


# ---- data: lines of code, without punctuation -----------------------------------------------------------------------

def tagged_lines(source):
    """Each statement of a source as a list of (word, tag); no statement of fewer than three words, none of more than 60."""
    line, lines = [], []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NEWLINE:
                lines.append(tagged(line))
                line = []
            elif token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP):
                line.append(token)
    except (tokenize.TokenError, SyntaxError):       # the statements before are good
        pass
    return [line for line in lines if 3 <= len(line) <= 60]


def tagged(tokens):
    """(word, tag) of one statement's tokens, its operators and brackets used and left out."""
    found, depth, texts = [], 0, [token.string for token in tokens]
    for i, token in enumerate(tokens):
        word, before, after = token.string, texts[i - 1] if i else "", texts[i + 1] if i + 1 < len(texts) else ""
        depth += (word in "([{") - (word in ")]}") if token.type == tokenize.OP else 0
        if token.type in (tokenize.NUMBER, tokenize.STRING):
            found.append(("<number>" if token.type == tokenize.NUMBER else "<string>", "value"))
        elif token.type == tokenize.NAME:
            found.append((word, tag_of(word, before, after, depth, texts[0])))
    return found


def tag_of(word, before, after, depth, first):
    if keyword.iskeyword(word):
        return "keyword"
    if first in ("import", "from"):
        return "module"
    if before in ("def", "class"):
        return "function" if before == "def" else "class"
    if first == "def" and depth == 1 and before in ("(", ",", "*", "**"):
        return "parameter"
    if after == "(":
        return "call"
    if before == ".":
        return "attribute"
    if after == "=":
        return "argument" if depth else "assigned"
    return "name"


class Encoder:
    """Numbers for words and for their letters."""

    def __init__(self, lines):
        self.words = Vocabulary([[word for word, _ in line] for line in lines], size=5000)
        self.letters = Vocabulary([list(word) for line in lines for word, _ in line])

    def encode(self, words):
        """(words (T,), letters (T, LONGEST_WORD))."""
        letters = torch.zeros(len(words), LONGEST_WORD, dtype=torch.int64)
        for i, word in enumerate(words):
            numbers = self.letters.encode(word[-LONGEST_WORD:])                            # the end says more than the beginning
            letters[i, :len(numbers)] = torch.tensor(numbers)
        return torch.tensor(self.words.encode(words)), letters

    def dataset(self, lines):
        """(words, letters, tags) of each line."""
        return [(*self.encode([word for word, _ in line]), torch.tensor([TAGS.index(tag) for _, tag in line])) for line in lines]


def collate(batch):
    """Lines as padded tensors: words (N, T), letters (N, T, LONGEST_WORD), tags (N, T)."""
    words, letters, tags = zip(*batch)
    return (pad_sequence(words, batch_first=True, padding_value=PAD), pad_sequence(letters, batch_first=True, padding_value=PAD),
            pad_sequence(tags, batch_first=True, padding_value=IGNORE))


# ---- the model ------------------------------------------------------------------------------------------------------

class Tagger(nn.Module):
    """Words (N, T) and letters (N, T, L) -> scores of each tag (N, T, K)."""

    def __init__(self, words, letters, width, hidden, dropout, crf):
        super().__init__()
        self.words = embedding(words, width)
        self.letters = nn.Embedding(letters, 16, padding_idx=PAD)
        self.spelling = nn.Conv1d(16, 32, 3, padding=1)
        self.rnn = nn.LSTM(width + 32, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(2 * hidden, len(TAGS))
        self.crf = CRF(len(TAGS)) if crf else None

    def forward(self, words, letters):
        n, t, long = letters.shape
        spelled = self.spelling(self.letters(letters.reshape(n * t, long)).transpose(1, 2)).amax(2).reshape(n, t, -1)      # (N, T, 32)
        x = self.dropout(torch.cat([self.words(words), spelled], 2))
        lengths = (words != PAD).sum(1)
        states, _ = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return self.dense(self.dropout(pad_packed_sequence(states, batch_first=True)[0]))

    def loss(self, words, letters, tags):
        """Mean over the words of -log p of their tags."""
        scores, mask = self(words, letters), words != PAD
        if self.crf is None:
            return F.cross_entropy(scores.flatten(0, 1), tags.flatten(), ignore_index=IGNORE)
        return self.crf(scores, tags.clamp(min=0), mask).sum() / mask.sum()

    def answers(self, words, letters):
        """The likeliest tags (N, T)."""
        scores = self(words, letters)
        return scores.argmax(2) if self.crf is None else self.crf.best(scores, words != PAD)


def counts(model, batches):
    """(K, K): how often a word with the row's tag got the column's."""
    model.eval()
    table = np.zeros((len(TAGS), len(TAGS)), int)
    with torch.no_grad():
        for words, letters, tags in batches:
            inside = tags != IGNORE
            np.add.at(table, (tags[inside].numpy(), model.answers(words, letters)[inside].numpy()), 1)
    return table


def f1(table):
    """For each tag 2 * right / (said + true), the harmonic mean of precision and recall; 0 for a tag that is neither."""
    return 2 * table.diagonal() / np.maximum(table.sum(0) + table.sum(1), 1)


# ---- the command ----------------------------------------------------------------------------------------------------

def parse(argv):
    parser = options(__doc__, epochs=3, batch_size=64, lr=5e-3)
    parser.add_argument("--size", type=positive(int), default=3_000_000, help="characters of code to read")
    parser.add_argument("--crf", action="store_true", help="a conditional random field in place of a softmax for each word")
    parser.add_argument("--width", type=positive(int), default=64, help="of the words' embeddings")
    parser.add_argument("--hidden", type=positive(int), default=64, help="of the states, for each direction")
    parser.add_argument("--dropout", type=share, default=0.3, help="share of the activations")
    parser.add_argument("--try", dest="tries", metavar="TEXT", action="append", default=[], help="words for the trained model")
    return parser.parse_args(argv)


def run(argv=None):
    args = parse(argv)
    torch.manual_seed(args.seed)
    train_lines, test_lines = ([line for _, source in part for line in tagged_lines(source)]
                               for part in held_out(stdlib_text.sources(args.size)))
    if not train_lines or not test_lines:
        raise Mistake(f"--size: {args.size} characters are too few to train and test on")
    tries = [text.split() for text in args.tries or ["for name in self modules save name path encoding <string>"]]
    if any(not re.fullmatch(r"\w+|<number>|<string>", word) for words in tries for word in words) or not all(tries):
        raise Mistake("--try: give the words of Python code without its punctuation, <number> and <string> for what these are")
    encoder = Encoder(train_lines)
    batches = DataLoader(encoder.dataset(train_lines), args.batch_size, shuffle=True, collate_fn=collate)
    test = DataLoader(encoder.dataset(test_lines), 256, collate_fn=collate)
    model = Tagger(encoder.words, len(encoder.letters), args.width, args.hidden, args.dropout, args.crf)
    print(f"{len(train_lines)} statements to train, {len(test_lines)} to test; {size(model)}", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)

    def score():
        table = counts(model, test)
        return f"test accuracy {table.trace() / table.sum():.1%}, mean F1 {f1(table).mean():.3f}"

    def learn():
        train(model, batches, lambda batch: model.loss(*batch), optimizer, one_cycle(optimizer, args, batches), args.epochs, score)

    trained(model, args, encoder.words.words, learn)
    table = counts(model, test)
    for tag, value, row in zip(TAGS, f1(table), table):
        print(f"{tag:<10} F1 {value:.3f}  of {row.sum()}")
    for text in tries:
        words, letters = encoder.encode(text)
        with torch.no_grad():
            found = model.answers(words.unsqueeze(0), letters.unsqueeze(0))[0].tolist()
        print(" ".join(f"{word}/{TAGS[i]}" for word, i in zip(text, found)))
    return score()


if __name__ == "__main__":
    sys.exit(command("tagging.py", run))
