"""Classify texts by convolutions of several widths and the maximum over time (Kim 2014).

    python examples/text_cnn.py                      is this piece of code about files, numbers, the internet ...? In half a minute
                                                     78 % and more, of modules never seen, where the largest topic has 42 %
    python examples/text_cnn.py --data aclImdb       is this film review positive? (the folder of Maas et al. 2011, unpacked)

A convolution of width w looks for a pattern of w words; the maximum says how well its best place in the text fits, wherever that is.  On texts as
few as these counting words is hard to beat: multinomial naive Bayes has 86 %.
"""
import sys

from text_data import PAD, embedding, texts
from text_training import answers, command, one_cycle, options, positive, share, size, table, train, trained

import minitorch as torch
from minitorch import nn
from minitorch.nn import functional as F


class TextCNN(nn.Module):
    """Words (N, T) and lengths (N,) -> scores (N, classes)."""

    def __init__(self, vocabulary, classes, width, channels, widths, dropout):
        super().__init__()
        self.embedding = embedding(vocabulary, width)
        self.convolutions = nn.ModuleList([nn.Conv1d(width, channels, w) for w in widths])
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(channels * len(widths), classes)

    def forward(self, words, lengths):
        most = max(c.kernel_size[0] for c in self.convolutions)
        words = F.pad(words, (0, max(0, most - words.shape[1])), value=PAD)     # room for the widest pattern
        x = self.dropout(self.embedding(words)).transpose(1, 2)                 # (N, width, T)
        best = []
        for convolution in self.convolutions:
            y = F.relu(convolution(x))                                          # (N, channels, T - w + 1)
            places = (lengths - convolution.kernel_size[0] + 1).clamp(min=1)    # those that are not all padding do count
            outside = torch.arange(y.shape[2]) >= places.reshape(-1, 1, 1)      # (N, 1, T - w + 1)
            best.append(y.masked_fill(outside, 0.0).amax(2))                    # (N, channels)
        return self.dense(self.dropout(torch.cat(best, 1)))


def parse(argv):
    parser = options(__doc__, epochs=4, batch_size=32, lr=3e-3)
    parser.add_argument("--data", metavar="FOLDER", help="aclImdb, in place of the standard library")
    parser.add_argument("--width", type=positive(int), default=64, help="of the embeddings")
    parser.add_argument("--channels", type=positive(int), default=64, help="patterns of each width")
    parser.add_argument("--widths", metavar="W", type=positive(int), nargs="+", default=[1, 2, 3], help="words to a pattern")
    parser.add_argument("--dropout", type=share, default=0.5, help="share of the activations")
    return parser.parse_args(argv)


def run(argv=None):
    args = parse(argv)
    torch.manual_seed(args.seed)
    data = texts(args.data)
    model = TextCNN(data.vocabulary, len(data.classes), args.width, args.channels, args.widths, args.dropout)
    print(f"{data}; {size(model)}", flush=True)
    batches, test = data.batches(args.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)

    def loss_of(batch):
        words, lengths, labels = batch
        return F.cross_entropy(model(words, lengths), labels)

    def score():
        counts = answers(model, test, len(data.classes))
        return f"test accuracy {counts.trace() / counts.sum():.1%}"

    trained(model, args, data.vocabulary.words,
            lambda: train(model, batches, loss_of, optimizer, one_cycle(optimizer, args, batches), args.epochs, score))
    print(table(answers(model, test, len(data.classes)), data.classes))
    return score()


if __name__ == "__main__":
    sys.exit(command("text_cnn.py", run))
