"""Teach a small GPT to write like the documentation of Python's standard library, or like any text.

    python examples/gpt.py                           characters: a validation loss of 1.7 nats (perplexity 5.5), in under 2 minutes on two cores
    python examples/gpt.py --tokens bpe              tokens of several characters, found by byte-pair encoding (pip install tokenizers)
    python examples/gpt.py --data FILE               another text
    python examples/gpt.py --pretrained FOLDER --prompt "Once upon a time"      no training: GPT-2's weights from Hugging Face, or --out

Prints the validation loss and the perplexity, draws a text token by token (--temperature, --top-k, with a cache of keys and
values), and writes model and tokens to --out, where --pretrained and Hugging Face's transformers find them.
"""
import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import stdlib_text
from digits import Mistake, positive
from text_training import command, natural, one_cycle, share, size, train

import minitorch as torch
from minitorch.models import GPT2Config, GPT2LMHeadModel
from minitorch.nn import functional as F

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


# ---- tokens -----------------------------------------------------------------------------------------

class Characters:
    """A token for each character of a text; those that come up less than `least` times share one."""
    file = "characters.json"

    def __init__(self, characters):
        self.characters = characters
        self.numbers = {c: i for i, c in enumerate(characters)}

    @classmethod
    def learnt(cls, text, least=20):
        seen, counts = np.unique(list(text), return_counts=True)
        return cls([UNKNOWN, *(str(c) for c, n in zip(seen, counts) if n >= least)])

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / cls.file).read_text("utf-8")))

    def save(self, folder):
        (folder / self.file).write_text(json.dumps(self.characters), "utf-8")

    def __len__(self):
        return len(self.characters)

    def encode(self, text):
        return [self.numbers.get(c, 0) for c in text]

    def decode(self, tokens):
        return "".join(self.characters[i] for i in tokens)


class BytePairs:
    """Byte-pair encoding (Sennrich et al. 2015) by the library tokenizers: bytes that often stand side by side become one token."""
    file = "tokenizer.json"

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    @staticmethod
    def library():
        try:
            import tokenizers
        except ImportError:
            raise ImportError("byte-pair tokens need the package tokenizers: python -m pip install tokenizers") from None
        return tokenizers

    @classmethod
    def learnt(cls, text, vocabulary):
        tokenizers = cls.library()
        tokenizer = tokenizers.ByteLevelBPETokenizer()
        tokenizer.train_from_iterator([text], vocab_size=vocabulary, show_progress=False)
        return cls(tokenizer)

    @classmethod
    def load(cls, folder):
        """From tokenizer.json, or from vocab.json and merges.txt, as older folders have them."""
        tokenizers = cls.library()
        if (folder / cls.file).exists():
            return cls(tokenizers.Tokenizer.from_file(str(folder / cls.file)))
        return cls(tokenizers.ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")))

    def save(self, folder):
        self.tokenizer.save(str(folder / self.file))

    def __len__(self):
        return self.tokenizer.get_vocab_size()

    def encode(self, text):
        return self.tokenizer.encode(text).ids

    def decode(self, tokens):
        return self.tokenizer.decode(tokens)


def tokens_in(folder):
    """The tokens that belong to the model in `folder`."""
    if (folder / Characters.file).exists():
        return Characters.load(folder)
    if (folder / BytePairs.file).exists() or (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        return BytePairs.load(folder)
    raise Mistake(f"--pretrained: {folder} has no {Characters.file}, {BytePairs.file}, or vocab.json and merges.txt")


# ---- data -------------------------------------------------------------------------------------------

def texts(args):
    """What to learn from and what to be examined on: whole modules, or the last tenth of --data."""
    if args.data:
        try:
            text = Path(args.data).read_text("utf-8")
        except UnicodeDecodeError as error:
            raise Mistake(f"--data: {args.data} is no UTF-8 text: {error}") from None
        return text[:-len(text) // 10], text[-len(text) // 10:]
    modules = [text for _, text in stdlib_text.docstrings()]
    return tuple("\n\n\n".join(part) for part in ([t for i, t in enumerate(modules) if i % 10], modules[::10]))


class Windows:
    """`steps` times `batch` random pieces of a text, each of `length` tokens and the one after them: (batch, length + 1)."""

    def __init__(self, tokens, length, batch, steps):
        self.tokens, self.length, self.batch, self.steps = tokens, length, batch, steps

    def __len__(self):
        return self.steps

    def __iter__(self):
        for _ in range(self.steps):
            starts = torch.randint(0, len(self.tokens) - self.length, (self.batch, 1))
            yield self.tokens[starts + torch.arange(self.length + 1)]


# ---- training ---------------------------------------------------------------------------------------

def next_token_loss(model, window):
    """The mean of -log p of each token, given those before it: nats."""
    return F.cross_entropy(model(window[:, :-1]).logits.flatten(0, 1), window[:, 1:].flatten())


def examined(model, tokens, length, batch=32, most=20):
    """next_token_loss over all of `tokens` (at most `most` batches), in pieces of `length` that touch."""
    pieces = tokens[:(len(tokens) - 1) // length * length].reshape(-1, length)
    ends = tokens[length:len(pieces) * length + 1:length].reshape(-1, 1)
    windows = torch.cat((pieces, ends), 1)[:most * batch]
    model.eval()
    with torch.no_grad():
        losses = [next_token_loss(model, windows[i:i + batch]).item() * len(windows[i:i + batch]) for i in range(0, len(windows), batch)]
    return sum(losses) / len(windows)


def trained(args):
    """A model and its tokens, after training."""
    text, examination = texts(args)
    tokens = Characters.learnt(text) if args.tokens == "characters" else BytePairs.learnt(text, args.vocabulary)
    learnt, unseen = (torch.tensor(tokens.encode(part)) for part in (text, examination))
    if min(len(learnt), len(unseen)) <= args.context:
        raise Mistake(f"the text is too short: {len(learnt)} tokens to learn and {len(unseen)} to test, in pieces of {args.context}")
    config = GPT2Config(vocab_size=len(tokens), n_positions=args.context, n_embd=args.size, n_layer=args.layers, n_head=args.heads,
                        resid_pdrop=args.dropout, embd_pdrop=args.dropout, attn_pdrop=args.dropout, bos_token_id=None, eos_token_id=None,
                        initializer_range=0.06)      # with GPT-2's 0.02 vectors as short as these are slow to start
    model = GPT2LMHeadModel(config)
    print(f"{len(learnt):,} tokens of {len(tokens)} kinds to learn, {len(unseen):,} to test; {size(model)}", flush=True)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=args.lr,
                                  betas=(0.9, 0.99))
    windows = Windows(learnt, args.context, args.batch_size, args.steps)

    def score():
        return f"validation loss {examined(model, unseen, args.context, most=1):.3f}"
    train(model, windows, lambda window: next_token_loss(model, window), optimizer, one_cycle(optimizer, args, windows), args.epochs, score)
    loss = examined(model, unseen, args.context)
    bits = loss * len(unseen) / len(examination) / math.log(2)
    summary = f"validation loss {loss:.3f}, perplexity {math.exp(loss):.2f}, {bits:.2f} bits a character"
    args.out.mkdir(parents=True, exist_ok=True)
    for name in {Characters.file, BytePairs.file}:   # of another run
        (args.out / name).unlink(missing_ok=True)
    model.save_pretrained(args.out)
    tokens.save(args.out)
    return model, tokens, f"model and tokens: {args.out}\n{summary}"


# ---- writing ----------------------------------------------------------------------------------------

def written(model, tokens, args):
    """--prompt and --length tokens after it."""
    ids, left, limit = tokens.encode(args.prompt) or tokens.encode("\n"), args.length, model.config.n_positions
    model.eval()
    while left:
        seen = ids if len(ids) < limit else ids[-(limit + 1) // 2:]      # a full window: half of it is read again, and makes room
        n = min(left, limit - len(seen))
        new = model.generate(torch.tensor([seen]), max_new_tokens=n, do_sample=args.temperature > 0, temperature=args.temperature or 1.0,
                             top_k=args.top_k, top_p=args.top_p)[0, len(seen):].tolist()
        ids, left = ids + new, left - len(new)
        if len(new) < n:                             # the model ended the text
            break
    return tokens.decode(ids)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=positive(int), default=10)
    parser.add_argument("--batch-size", type=positive(int), default=12)
    parser.add_argument("--lr", type=positive(float), default=3e-3, help="learning rate, at its highest")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("--steps", type=positive(int), default=100, help="to an epoch")
    parser.add_argument("--tokens", choices=("characters", "bpe"), default="characters")
    parser.add_argument("--vocabulary", type=positive(int), default=1000, help="how many byte-pair tokens")
    parser.add_argument("--data", metavar="FILE", help="a text in UTF-8, instead of the standard library's")
    parser.add_argument("--context", type=positive(int), default=64, help="how many tokens the model sees")
    parser.add_argument("--layers", type=positive(int), default=4)
    parser.add_argument("--heads", type=positive(int), default=4)
    parser.add_argument("--size", type=positive(int), default=128, help="of the vectors")
    parser.add_argument("--dropout", type=share, default=0.0)
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("gpt-out"), help="where to write")
    parser.add_argument("--pretrained", metavar="FOLDER", type=Path, help="write a text with this model, without training")
    parser.add_argument("--prompt", default="", help="what the text begins with")
    parser.add_argument("--length", type=positive(int), default=400, help="of the text, in tokens")
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest token")
    parser.add_argument("--top-k", type=natural, default=40, help="draw from so many likeliest tokens; 0: from all")
    parser.add_argument("--top-p", type=float, default=1.0, help="draw from the likeliest tokens with this total probability")
    args = parser.parse_args(argv)
    if not 0 <= args.temperature < math.inf:
        parser.error(f"argument --temperature: must be at least 0, not {args.temperature}")
    if not 0 < args.top_p <= 1:
        parser.error(f"argument --top-p: must be above 0 and at most 1, not {args.top_p}")
    if args.size % args.heads:
        parser.error(f"argument --heads: {args.heads} do not divide --size {args.size}")
    return args


def run(argv=None):
    args = parse(argv)
    torch.manual_seed(args.seed)
    if args.pretrained:
        try:
            model = GPT2LMHeadModel.from_pretrained(args.pretrained)
        except (ValueError, RuntimeError) as error:
            raise Mistake(f"--pretrained: {error}") from None
        tokens = tokens_in(args.pretrained)
        summary = f"{size(model)} from {args.pretrained}"
    else:
        model, tokens, summary = trained(args)
    print(f"\n{written(model, tokens, args)}\n")
    return summary


if __name__ == "__main__":
    sys.exit(command("gpt.py", run))
