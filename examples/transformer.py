"""The Transformer of "Attention Is All You Need" (Vaswani et al. 2017) learns to reverse and to sort.

    python examples/transformer.py                   99 % and more of 1,000 unseen sequences exactly right, in a minute
    python examples/transformer.py --heads 1         is one head enough?
    python examples/transformer.py --try "sort banana" --try "reverse banana"

A source is a task and 1 to 10 letters, the target those letters reversed or sorted.  All of the paper is here in small: encoder and
decoder, sinusoidal positions, the learning rate that rises for --warmup steps and falls with 1 / sqrt(step), label smoothing, the
mean of the last five checkpoints as the final model, greedy decoding and beam search.
"""
import sys
from collections import deque

import numpy as np
from decoding import beam, greedy, until
from text_training import Mistake, command, options, positive, share, size, train, trained

import minitorch as torch
from minitorch import nn
from minitorch.nn import functional as F
from minitorch.nn.utils.rnn import pad_sequence

LETTERS = "abcdefghijklmnopqrst"
TOKENS = ["<pad>", "<start>", "<end>", "reverse", "sort", *LETTERS]
PAD, START, END, REVERSE, SORT, FIRST = range(6)
LONGEST = 10


# ---- data -----------------------------------------------------------------------------------------------------------

def example(task, letters):
    """(source, target) as lists of tokens; the target between <start> and <end>."""
    answer = sorted(letters) if task == SORT else letters[::-1]
    return [task, *letters], [START, *answer, END]


def drawn(rng, n):
    """n random examples, as two padded tensors (n, S), (n, T)."""
    pairs = [example(rng.choice([REVERSE, SORT]), rng.integers(FIRST, len(TOKENS), rng.integers(1, LONGEST + 1)).tolist()) for _ in range(n)]
    return tuple(pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD) for rows in zip(*pairs))


class Batches:
    """`steps` batches of new examples each time round."""

    def __init__(self, rng, steps, batch_size):
        self.rng, self.steps, self.batch_size = rng, steps, batch_size

    def __len__(self):
        return self.steps

    def __iter__(self):
        return (drawn(self.rng, self.batch_size) for _ in range(self.steps))


# ---- the model ------------------------------------------------------------------------------------------------------

def positions(length, width):
    """(length, width): sines and cosines of wave lengths from 2 pi to 10000 * 2 pi (section 3.5)."""
    angle = torch.arange(length).unsqueeze(1) / 10000 ** (torch.arange(0, width, 2) / width)    # (length, width / 2)
    return torch.stack([angle.sin(), angle.cos()], 2).reshape(length, width)


class Model(nn.Module):
    """Tokens (N, S) and the beginning of the answers (N, T) -> scores of the next token (N, T, V)."""

    def __init__(self, width, heads, layers, dropout):
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(len(TOKENS), width, padding_idx=PAD)      # shared: source, target and output (section 3.4)
        nn.init.normal_(self.embedding.weight, std=width ** -0.5)
        self.register_buffer("positions", positions(LONGEST + 2, width))
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(width, heads, layers, layers, 4 * width, dropout, batch_first=True)

    def embedded(self, tokens):
        return self.dropout(self.embedding(tokens) * self.width ** 0.5 + self.positions[:tokens.shape[1]])

    def encode(self, source):
        return self.transformer.encoder(self.embedded(source), src_key_padding_mask=source == PAD)

    def decode(self, memory, source, target):
        later = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)     # no position sees those after it
        y = self.transformer.decoder(self.embedded(target), memory, tgt_mask=later, memory_key_padding_mask=source == PAD)
        return y @ self.embedding.weight.T

    def forward(self, source, target):
        return self.decode(self.encode(source), source, target)


def answers(model, source, width=1):
    """What the model answers, a list of tokens for each row of the source; by beam search for a width above 1."""
    model.eval()
    with torch.no_grad():
        rows = source.repeat_interleave(width, 0)
        memory = model.encode(source).repeat_interleave(width, 0)

        def log_probs(prefixes):
            return model.decode(memory, rows, prefixes)[:, -1].log_softmax(1)
        found = greedy(log_probs, len(source), START, END, LONGEST + 1) if width == 1 else \
            beam(log_probs, len(source), START, END, LONGEST + 1, width)
    return [until(row, END) for row in found]


def exact(model, source, target, width=1):
    """The share of sequences that are right in every token."""
    right = [until(row, END) for row in target[:, 1:]]
    return float(np.mean([a == b for a, b in zip(answers(model, source, width), right)]))


def mean(checkpoints):
    """State dicts as one: less noise than in any of them (section 6.1)."""
    return {name: sum(c[name] for c in checkpoints) / len(checkpoints) for name in checkpoints[0]}


# ---- the command ----------------------------------------------------------------------------------------------------

def asked(text):
    """The tokens of "sort banana"; Mistake for anything else."""
    task, _, letters = text.strip().partition(" ")
    if task not in ("reverse", "sort") or not 1 <= len(letters) <= LONGEST or set(letters) - set(LETTERS):
        raise Mistake(f'--try {text!r}: must be "reverse" or "sort", then 1 to {LONGEST} letters from {LETTERS[0]} to {LETTERS[-1]}')
    return [TOKENS.index(token) for token in (task, *letters)]


def parse(argv):
    parser = options(__doc__, epochs=20, batch_size=64, lr=1.0)
    parser.add_argument("--steps", type=positive(int), default=60, help="steps to an epoch")
    parser.add_argument("--test", type=positive(int), default=1000, help="sequences to test on")
    parser.add_argument("--width", type=positive(int), default=64, help="of embeddings and layers: d_model")
    parser.add_argument("--heads", type=positive(int), default=4, help="of attention, to a layer")
    parser.add_argument("--layers", type=positive(int), default=2, help="of the encoder, and of the decoder")
    parser.add_argument("--dropout", type=share, default=0.0, help="share of the activations")
    parser.add_argument("--warmup", type=positive(int), default=400, help="steps of rising learning rate")
    parser.add_argument("--smoothing", type=share, default=0.1, help="of labels")
    parser.add_argument("--beam", type=positive(int), default=4, help="beginnings that the beam search keeps")
    parser.add_argument("--try", dest="tries", metavar="TEXT", action="append", default=[], help="an input for the trained model")
    args = parser.parse_args(argv)
    if args.width % 2 or args.width % args.heads:
        parser.error(f"argument --width: must be even and a multiple of --heads, {args.heads}, not {args.width}")
    return args


def run(argv=None):
    args = parse(argv)
    tries = [asked(text) for text in args.tries]
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    test = drawn(np.random.default_rng([args.seed, 1]), args.test)
    model = Model(args.width, args.heads, args.layers, args.dropout)
    print(f"{size(model)}; {args.test} sequences to test", flush=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.98), eps=1e-9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(                              # equation 3
        optimizer, lambda step: args.width ** -0.5 * min((step + 1) ** -0.5, (step + 1) * args.warmup ** -1.5))

    def loss_of(batch):
        source, target = batch
        scores = model(source, target[:, :-1])
        return F.cross_entropy(scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=args.smoothing)

    part, checkpoints = tuple(t[:200] for t in test), deque(maxlen=5)

    def score():
        checkpoints.append({name: value.clone() for name, value in model.state_dict().items()})
        return f"exact match {exact(model, *part):.1%}"

    def learn():
        train(model, Batches(rng, args.steps, args.batch_size), loss_of, optimizer, scheduler, args.epochs, score)
        model.load_state_dict(mean(checkpoints))

    trained(model, args, TOKENS, learn)
    for tokens in [*tries, *([] if tries else [test[0][i][test[0][i] != PAD].tolist() for i in range(min(4, args.test))])]:
        answer, = answers(model, torch.tensor([tokens]))
        print(f"{TOKENS[tokens[0]]} {''.join(TOKENS[t] for t in tokens[1:])} -> {''.join(TOKENS[t] for t in answer)}")
    return f"exact match {exact(model, *test):.1%} greedily, {exact(model, *test, args.beam):.1%} by beam search"


if __name__ == "__main__":
    sys.exit(command("transformer.py", run))
