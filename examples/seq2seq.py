"""An LSTM reads a date as people say it, letter by letter, and another writes it as 1999-05-03 (Sutskever et al. 2014).

    python examples/seq2seq.py                       99 % and more of 1,000 dates that training never saw exactly right, in a minute
    python examples/seq2seq.py --no-attention        all that the second LSTM learns of the text is the first one's last state
    python examples/seq2seq.py --try "the third of may nineteen ninety nine"

With attention (Bahdanau et al. 2015) the second LSTM looks at each step at the letters that matter for its next one; what it looks at
is drawn at the end.
"""
import argparse
import datetime
import sys

import numpy as np
from decoding import beam, greedy, until
from text_data import PAD, UNKNOWN, Vocabulary
from text_training import Mistake, command, one_cycle, options, positive, size, train, trained

import minitorch as torch
from minitorch import nn
from minitorch.metrics import bleu
from minitorch.nn import functional as F
from minitorch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from minitorch.utils.data import DataLoader

# ---- data: dates in words -------------------------------------------------------------------------------------------

MONTHS = "january february march april may june july august september october november december".split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
        "nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
            "seventeenth eighteenth nineteenth").split()
FIRST_DAY, LAST_DAY = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
START, END = ">", "<"                                # around the answer's letters
FORMATS = ["{day} {month} {year}", "{month} {day} {year}", "{weekday} {day} {month} {year}", "{weekday} {month} {day} {year}",
           "{day} of {month} {year}", "{year} {month} {day}"]


def below_hundred(n):
    """Of 0 to 99, in words."""
    if n < 20:
        return ONES[n]
    return TENS[n // 10 - 2] + (f" {ONES[n % 10]}" if n % 10 else "")


def day_in_words(n):
    """Of 1 to 31, as an ordinal number."""
    if n < 20:
        return ORDINALS[n - 1]
    return {20: "twentieth", 30: "thirtieth"}.get(n) or f"{TENS[n // 10 - 2]} {ORDINALS[n % 10 - 1]}"


def year_in_words(n):
    """Of 1900 to 2099: nineteen hundred, nineteen oh five, two thousand nine, twenty twelve."""
    century, rest = divmod(n, 100)
    if 2000 <= n < 2010:
        return "two thousand" + (f" {ONES[rest]}" if rest else "")
    return below_hundred(century) + (" hundred" if not rest else f" oh {ONES[rest]}" if rest < 10 else f" {below_hundred(rest)}")


def as_said(date, rng):
    """A date as one of many people would say or write it."""
    n = date.day
    ending = "th" if 10 < n < 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    month = MONTHS[date.month - 1]
    return rng.choice(FORMATS).format(
        weekday=rng.choice([DAYS[date.weekday()], DAYS[date.weekday()][:3]]),
        day=rng.choice([str(n), f"{n}{ending}", f"the {n}{ending}", day_in_words(n), f"the {day_in_words(n)}"]),
        month=rng.choice([month, month, month[:3]]),
        year=rng.choice([str(date.year), year_in_words(date.year)]))


def drawn(seed, n, n_test):
    """n pairs (said, ISO) to train and n_test to test, of different dates."""
    rng = np.random.default_rng(seed)
    dates = [datetime.date.fromordinal(int(d)) for d in rng.permutation(np.arange(FIRST_DAY, LAST_DAY + 1))[:n + n_test]]
    pairs = [(as_said(date, rng), date.isoformat()) for date in dates]
    return pairs[:n], pairs[n:]


class Collate:
    """Pairs of strings -> letters (N, S), and the answers (N, T) between START and END, both padded."""

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def source(self, texts):
        return pad_sequence([torch.tensor(self.vocabulary.encode(text)) for text in texts], batch_first=True, padding_value=PAD)

    def __call__(self, pairs):
        sources, targets = zip(*pairs)
        return self.source(sources), self.source([START + target + END for target in targets])


# ---- the model ------------------------------------------------------------------------------------------------------

class Attention(nn.Module):
    """A state (N, H), the letters' states (N, S, 2H) -> their mean weighted by how well they fit the state (N, 2H), and the weights (N, S)."""

    def __init__(self, hidden):
        super().__init__()
        self.of_state, self.of_memory = nn.Linear(hidden, hidden), nn.Linear(2 * hidden, hidden, bias=False)
        self.outer = nn.Linear(hidden, 1, bias=False)

    def forward(self, state, memory, keys, padding):
        scores = self.outer((self.of_state(state).unsqueeze(1) + keys).tanh()).squeeze(2)  # (N, S)
        weights = scores.masked_fill(padding, float("-inf")).softmax(1)
        return (weights.unsqueeze(1) @ memory).squeeze(1), weights


class Model(nn.Module):
    """Letters (N, S) and the beginning of the answers (N, T) -> scores of the next letter (N, T, V)."""

    def __init__(self, letters, width, hidden, attention):
        super().__init__()
        self.embedding = nn.Embedding(letters, width, padding_idx=PAD)
        self.encoder = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(4 * hidden, 2 * hidden)
        self.attention = Attention(hidden) if attention else None
        self.cell = nn.LSTMCell(width + 2 * hidden * attention, hidden)
        self.dense = nn.Linear(hidden + 2 * hidden * attention, letters)

    def encode(self, source):
        """What the decoder works with: (h, c) to begin with, (N, H) each; the letters' states (N, S, 2H) and keys (N, S, H); the padding (N, S)."""
        packed = pack_padded_sequence(self.embedding(source), (source != PAD).sum(1), batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        both = torch.cat([*last[0], *last[1]], 1)                                          # h and c of both directions: (N, 4H)
        h, c = self.bridge(both).tanh().chunk(2, 1)
        memory = pad_packed_sequence(states, batch_first=True)[0]
        return h, c, memory, self.attention.of_memory(memory) if self.attention else memory, source == PAD

    def decode(self, encoded, target):
        """Scores (N, T, V) of the letters after each of target's; `self.weights` (N, T, S) are what was looked at."""
        h, c, memory, keys, padding = encoded
        letters, scores, weights = self.embedding(target), [], []
        for t in range(target.shape[1]):
            x = letters[:, t]
            if self.attention:
                context, looked = self.attention(h, memory, keys, padding)
                x = torch.cat([x, context], 1)
                weights.append(looked)
            h, c = self.cell(x, (h, c))
            scores.append(torch.cat([h, context], 1) if self.attention else h)
        self.weights = torch.stack(weights, 1) if weights else None
        return self.dense(torch.stack(scores, 1))

    def forward(self, source, target):
        return self.decode(self.encode(source), target)


def answers(model, collate, texts, width=1):
    """What the model makes of each text; by beam search for a width above 1."""
    model.eval()
    words = collate.vocabulary
    with torch.no_grad():
        encoded = [part.repeat_interleave(width, 0) for part in model.encode(collate.source(texts))]

        def log_probs(prefixes):
            return model.decode(encoded, prefixes)[:, -1].log_softmax(1)
        start, end = words.encode(START + END)
        found = greedy(log_probs, len(texts), start, end, 12) if width == 1 else beam(log_probs, len(texts), start, end, 12, width)
    return ["".join(words.decode(until(row, end))) for row in found]


def exact(found, right):
    """The share of answers that are right in every letter."""
    return float(np.mean([a == b for a, b in zip(found, right)]))


def looked_at(model, collate, text, answer):
    """For each letter of the answer the part of the text that it was read from, as a picture of letters."""
    with torch.no_grad():
        model(*collate([(text, answer)]))
    lines = [f"   {text}"]
    for letter, row in zip(answer, model.weights[0].tolist()):
        lines.append(f"{letter}  " + "".join("#" if w > 0.3 else "+" if w > 0.1 else "." for w in row))
    return "\n".join(lines)


# ---- the command ----------------------------------------------------------------------------------------------------

def parse(argv):
    parser = options(__doc__, epochs=4, batch_size=64, lr=8e-3)
    parser.add_argument("--dates", type=positive(int), default=8_000, help="to train on")
    parser.add_argument("--test", type=positive(int), default=1000, help="dates to test on")
    parser.add_argument("--attention", action=argparse.BooleanOptionalAction, default=True, help="look at all letters in each step")
    parser.add_argument("--width", type=positive(int), default=32, help="of the letters' embeddings")
    parser.add_argument("--hidden", type=positive(int), default=64, help="of the states")
    parser.add_argument("--beam", type=positive(int), default=4, help="beginnings that the beam search keeps")
    parser.add_argument("--try", dest="tries", metavar="TEXT", action="append", default=[], help="a date for the trained model")
    args = parser.parse_args(argv)
    most = LAST_DAY - FIRST_DAY + 1
    if args.dates + args.test > most:
        parser.error(f"arguments --dates and --test: at most {most} together, the days from 1900 to 2099")
    return args


def run(argv=None):
    args = parse(argv)
    torch.manual_seed(args.seed)
    pairs, test = drawn(args.seed, args.dates, args.test)
    collate = Collate(Vocabulary([list(START + END), *(list(text + date) for text, date in pairs)], at_least=1))
    for text in args.tries:
        if not text or UNKNOWN in collate.vocabulary.encode(text.lower()):
            raise Mistake(f"--try {text!r}: give a date of letters a to z, digits and blanks, without commas")
    model = Model(len(collate.vocabulary), args.width, args.hidden, args.attention)
    print(f"{len(pairs)} dates to train, {len(test)} others to test; {size(model)}", flush=True)
    batches = DataLoader(pairs, args.batch_size, shuffle=True, collate_fn=collate)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    def loss_of(batch):
        source, target = batch
        scores = model(source, target[:, :-1])
        return F.cross_entropy(scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD)

    def learn():
        train(model, batches, loss_of, optimizer, one_cycle(optimizer, args, batches), args.epochs,
              lambda: f"exact match {exact(answers(model, collate, said), right):.1%}")

    said, right = zip(*test)
    trained(model, args, collate.vocabulary.words, learn)
    texts = [text.lower() for text in args.tries] or said[:4]
    for text, answer in zip(texts, answers(model, collate, texts)):
        print(f"{text} -> {answer}" if not args.attention else f"{looked_at(model, collate, text, answer)}\n")
    greedily, searched = answers(model, collate, said), answers(model, collate, said, args.beam)
    return (f"BLEU of the letters {bleu([list(a) for a in greedily], [[list(b)] for b in right]):.4f}, "
            f"exact match {exact(greedily, right):.1%} greedily, {exact(searched, right):.1%} by beam search")


if __name__ == "__main__":
    sys.exit(command("seq2seq.py", run))
