"""What the text examples share besides their data: the training loop, the options that all of them have, and how they end.

A script gives `train` its batches and a function batch -> loss, and gets one line for each epoch, with a bar where tqdm is installed.
"""
import argparse
import math
import sys
import time

import numpy as np
from digits import Mistake, Progress, positive

import minitorch as torch
from minitorch import nn


def options(doc, *, epochs, batch_size, lr):
    """An argument parser with the first lines of `doc` and the options of every text example."""
    parser = argparse.ArgumentParser(description=doc.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=positive(int), default=epochs, help="passes over the training data")
    parser.add_argument("--batch-size", type=positive(int), default=batch_size, help="sequences to a step")
    parser.add_argument("--lr", type=positive(float), default=lr, help="learning rate, at its highest")
    parser.add_argument("--save", metavar="FILE", help="where to put the trained weights")
    parser.add_argument("--load", metavar="FILE", help="weights from --save: nothing is trained; give the other options as they were then")
    parser.add_argument("--seed", type=natural, default=0, help="of weights, order, dropout and generated data")
    return parser


def natural(text):
    """An argparse type: a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, not {text!r}")
    return int(text)


def share(text):
    """An argparse type: a number from 0 up to but not including 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, not {text}")
    return value


def train(model, batches, loss_of, optimizer, scheduler, epochs, score=None, clip=1.0):
    """`epochs` times over `batches`, a step for each; the mean loss of every epoch.

    loss_of(batch) is the scalar to go down; score() what to say after an epoch, with the model in evaluation mode and no graph;
    the schedule moves on after every step; gradients together longer than `clip` are scaled down to it.
    """
    history = []
    with Progress(epochs * len(batches), 0) as progress:
        for epoch in range(1, epochs + 1):
            model.train()
            total = 0.0
            for step, batch in enumerate(batches, 1):
                optimizer.zero_grad()
                loss = loss_of(batch)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                scheduler.step()
                total += loss.item()
                if not math.isfinite(total):
                    raise Mistake(f"the loss is {loss.item()} in step {step} of epoch {epoch}: try a lower --lr")
                progress.step(total / step)
            history.append(total / len(batches))
            model.eval()
            with torch.no_grad():
                said = f"  {score()}" if score else ""
            progress.say(f"epoch {epoch:2}/{epochs}  loss {history[-1]:.4f}{said}")
    return history


def trained(model, args, words, learn):
    """The model after learn(), its weights in the file --save; or with the weights of the file --load, if `words` are those of then."""
    if args.load:
        try:
            state = torch.load(args.load)
            if state["words"] != words:
                raise Mistake(f"--load: {args.load} was made with other words: give the options that it was made with")
            model.load_state_dict(state["model"])
        except (RuntimeError, ValueError, LookupError, TypeError) as error:
            raise Mistake(f"--load: no weights for these options in {args.load}: {type(error).__name__}: {error}") from None
    else:
        learn()
    if args.save:
        torch.save({"words": words, "model": model.state_dict()}, args.save)
        print(f"weights: {args.save}")
    model.eval()
    return model


def one_cycle(optimizer, args, batches):
    """A schedule: up to --lr over the first tenth of all steps, down to nothing over the rest (Smith & Topin 2018)."""
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, epochs=args.epochs, steps_per_epoch=len(batches), pct_start=0.1)


def answers(model, batches, classes):
    """(classes, classes) counts over batches of (words, lengths, labels): rows are the classes, columns what the model says."""
    model.eval()
    counts = np.zeros((classes, classes), int)
    with torch.no_grad():
        for words, lengths, labels in batches:
            np.add.at(counts, (labels.numpy(), model(words, lengths).argmax(1).numpy()), 1)
    return counts


def table(counts, classes):
    """The counts with the names of the classes, as lines."""
    wide = max(7, *(len(name) + 2 for name in classes))
    rows = [f"{name:<{wide}}" + "".join(f"{n or '.':>{wide}}" for n in row) for name, row in zip(classes, counts)]
    return "\n".join(["rows: the class; columns: the answer", " " * wide + "".join(f"{name:>{wide}}" for name in classes), *rows])


def size(model):
    """How many weights, in words."""
    return f"{sum(p.numel() for p in model.parameters()):,} weights"


def command(name, run, argv=None):
    """run(argv) as a command: its last line with the time it took; what the user can put right as one line. -> exit status."""
    start = time.perf_counter()
    try:
        print(f"{run(argv)}, {time.perf_counter() - start:.0f} s")
    except (Mistake, OSError, ImportError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
    return 0
