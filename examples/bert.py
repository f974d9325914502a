"""Teach a small BERT the words of Python's standard library, then what a piece of its code is for.

    python examples/bert.py       hidden words: perplexity 112 (by frequency alone 192); topics: 66 % right; in under 2 minutes on two cores

First training, without labels: of 15 % of the words some are hidden, some exchanged, and the model says what stood there.  Then
a head for four topics is put on it, and learns from labelled pieces.  Both are examined on modules that no training saw.
Both models are written to --out, where Hugging Face's transformers finds them.
"""
import argparse
import math
import sys
from pathlib import Path

import stdlib_text
from digits import positive
from text_data import PAD, TOPICS, UNKNOWN, Vocabulary, held_out, pieces
from text_training import command, natural, one_cycle, share, size, train

import minitorch as torch
from minitorch.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minitorch.utils.data import DataLoader, TensorDataset

HIDDEN = -100                                        # the label of positions that do not count


class Words(Vocabulary):
    """The known words, and two signs: one that opens each piece and one that hides a word."""

    def __init__(self, texts, size):
        super().__init__(texts, size)
        self.opening, self.mask = len(self.words), len(self.words) + 1
        self.words += ["<piece>", "<mask>"]

    def tensor(self, texts, length):
        """(N, length) numbers of the pieces' words, an opening sign before them and padding behind."""
        rows = [[self.opening, *self.encode(text)][:length] for text in texts]
        return torch.tensor([row + [PAD] * (length - len(row)) for row in rows])


# ---- data -------------------------------------------------------------------------------------------

def data(args):
    """The vocabulary; pieces to learn from and to be examined on (N, L); and the same with labels, as TensorDatasets."""
    labelled, size = ([], []), args.length * 3 // 4
    for label, modules in enumerate(TOPICS.values()):
        for part, some in zip(labelled, held_out(stdlib_text.sources(only=set(modules.split())))):
            part.extend((piece, label, name) for name, text in some for piece in pieces(text, size))
    unseen = {name for _, _, name in labelled[1]}
    plain = [piece for name, text in stdlib_text.sources(5_000_000) if name not in unseen for piece in pieces(text, size)]
    words = Words(plain, args.vocabulary)

    def some(part, n):
        part = [part[i] for i in torch.randperm(len(part)).tolist()[:n]]
        return TensorDataset(words.tensor([piece for piece, _, _ in part], args.length), torch.tensor([label for _, label, _ in part]))
    few, test = some(labelled[0], args.labelled), some(labelled[1], args.test)
    return words, words.tensor(plain, args.length), few, test


def with_holes(ids, words, generator=None):
    """The pieces with 15 % of their words hidden (8 of 10), exchanged (1 of 10) or left (1 of 10); and what stood there, elsewhere HIDDEN."""
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids != PAD) & (ids != UNKNOWN) & (ids != words.opening)
    fate = torch.rand(ids.shape, generator=generator)
    others = torch.randint(UNKNOWN + 1, words.opening, ids.shape, generator=generator)
    given = torch.where(chosen & (fate < 0.8), words.mask, torch.where(chosen & (fate >= 0.9), others, ids))
    return given, ids.masked_fill(~chosen, HIDDEN)


class Holes:
    """`steps` batches of random pieces with holes, and what stood there."""

    def __init__(self, ids, words, batch, steps):
        self.ids, self.words, self.batch, self.steps = ids, words, batch, steps

    def __len__(self):
        return self.steps

    def __iter__(self):
        for _ in range(self.steps):
            yield with_holes(self.ids[torch.randint(0, len(self.ids), (self.batch,))], self.words)


# ---- first training ---------------------------------------------------------------------------------

def pretrained(args, words, plain, test):
    """A BertForMaskedLM, and in words how well it knows what is hidden in the test's pieces."""
    config = BertConfig(vocab_size=len(words), hidden_size=args.size, num_hidden_layers=args.layers, num_attention_heads=args.heads,
                        intermediate_size=4 * args.size, max_position_embeddings=args.length, hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0, type_vocab_size=1, initializer_range=0.06)
    model = BertForMaskedLM(config)
    given, asked = with_holes(test, words, torch.Generator().manual_seed(args.seed))
    print(f"{len(plain)} pieces without labels, {len(words)} words; {size(model)}", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    batches = Holes(plain, words, args.batch_size, args.steps)

    def loss_of(batch):
        ids, labels = batch
        return model(ids, attention_mask=ids != PAD, labels=labels).loss

    def perplexity():
        parts = [(loss_of((given[i:i + 64], asked[i:i + 64])).item(), (asked[i:i + 64] != HIDDEN).sum().item()) for i in range(0, len(given), 64)]
        return math.exp(sum(loss * n for loss, n in parts) / sum(n for _, n in parts))
    train(model, batches, loss_of, optimizer, one_cycle(optimizer, args, batches), args.epochs, lambda: f"perplexity {perplexity():.1f}")
    model.eval()
    with torch.no_grad():
        return model, f"perplexity of hidden words {perplexity():.1f}, by frequency alone {by_frequency(plain, asked[asked != HIDDEN], words):.1f}"


def by_frequency(plain, asked, words):
    """The perplexity of the asked words where each is as likely as it is frequent among the plain pieces."""
    counts = torch.bincount(plain.flatten(), minlength=len(words))
    return math.exp(-((counts[asked] + 1) / counts[UNKNOWN + 1:words.opening].sum()).log().mean().item())


# ---- second training --------------------------------------------------------------------------------

def accuracy(model, test):
    """The share of pieces whose topic is told rightly."""
    right = 0
    model.eval()
    with torch.no_grad():
        for ids, labels in DataLoader(test, 64):
            right += (model(ids, attention_mask=ids != PAD).logits.argmax(1) == labels).sum().item()
    return right / len(test)


def fine_tuned(model, args, few, test):
    """The accuracy of the model after some rounds through the labelled pieces."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    batches = DataLoader(few, 32, shuffle=True)
    steps = len(batches) * args.rounds
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps, pct_start=0.1)
    train(model, batches, lambda batch: model(batch[0], attention_mask=batch[0] != PAD, labels=batch[1]).loss, optimizer, schedule, args.rounds,
          lambda: f"test accuracy {accuracy(model, test):.1%}")
    return accuracy(model, test)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=positive(int), default=6)
    parser.add_argument("--batch-size", type=positive(int), default=16)
    parser.add_argument("--lr", type=positive(float), default=1e-3, help="learning rate, at its highest")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--steps", type=positive(int), default=150, help="to an epoch of the first training")
    parser.add_argument("--rounds", type=positive(int), default=3, help="through the labelled pieces")
    parser.add_argument("--labelled", type=positive(int), default=2000, help="how many labelled pieces")
    parser.add_argument("--test", type=positive(int), default=1000, help="how many pieces to be tested on")
    parser.add_argument("--vocabulary", type=positive(int), default=2000, help="how many words are known")
    parser.add_argument("--length", type=positive(int), default=48, help="of the pieces, at most, in words")
    parser.add_argument("--layers", type=positive(int), default=2)
    parser.add_argument("--heads", type=positive(int), default=4)
    parser.add_argument("--size", type=positive(int), default=128, help="of the vectors")
    parser.add_argument("--dropout", type=share, default=0.1, help="in the second training")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("bert-out"), help="where to write")
    args = parser.parse_args(argv)
    if args.size % args.heads:
        parser.error(f"argument --heads: {args.heads} do not divide --size {args.size}")
    return args


def run(argv=None):
    args = parse(argv)
    torch.manual_seed(args.seed)
    words, plain, few, test = data(args)
    model, perplexity = pretrained(args, words, plain, test.tensors[0])
    model.save_pretrained(args.out / "masked")
    print(f"\n{len(few)} pieces with labels, {len(test)} to test, of {', '.join(TOPICS)}")
    changes = dict(id2label=dict(enumerate(TOPICS)), hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout)
    model, _ = BertForSequenceClassification.from_pretrained(args.out / "masked", output_loading_info=True, **changes)
    share_right = fine_tuned(model, args, few, test)
    model.save_pretrained(args.out / "topics")
    return f"models: {args.out}\n{perplexity}; test accuracy {share_right:.1%}"


if __name__ == "__main__":
    sys.exit(command("bert.py", run))
