"""Classify texts by a recurrent network, LSTM, GRU or plain, with attention over its states or without.

    python examples/text_rnn.py                      is this piece of code about files, numbers, the internet ...? In a minute 78 % and
                                                     more, of modules never seen, where the largest topic has 42 %
    python examples/text_rnn.py --attention          80 % and more, and which words told
    python examples/text_rnn.py --data aclImdb       is this film review positive? (the folder of Maas et al. 2011, unpacked)

The network reads each text from both ends.  Without attention its last states are all that is kept of the text; with it (Lin et al. 2017)
every state is weighed by what it says itself.  Texts are packed: nothing is computed for padding.
"""
import sys

from text_data import collate, embedding, texts
from text_training import answers, command, one_cycle, options, positive, share, size, table, train, trained

import minitorch as torch
from minitorch import nn
from minitorch.nn import functional as F
from minitorch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Attention(nn.Module):
    """States (N, T, H) and lengths (N,) -> their weighted mean (N, H), and the weights (N, T), which sum to 1."""

    def __init__(self, width, hidden):
        super().__init__()
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, 1, bias=False)

    def forward(self, states, lengths):
        scores = self.outer(self.inner(states).tanh()).squeeze(2)                          # (N, T)
        padding = torch.arange(states.shape[1]) >= lengths.unsqueeze(1)
        weights = scores.masked_fill(padding, float("-inf")).softmax(1)
        return (weights.unsqueeze(1) @ states).squeeze(1), weights


class TextRNN(nn.Module):
    """Words (N, T) and lengths (N,) -> scores (N, classes); `weights` (N, T) are those of the last call's attention."""

    def __init__(self, vocabulary, classes, cell, width, hidden, one_way, attention, dropout):
        super().__init__()
        self.embedding = embedding(vocabulary, width)
        self.rnn = CELLS[cell](width, hidden, batch_first=True, bidirectional=not one_way)
        out = hidden if one_way else 2 * hidden
        self.attention = Attention(out, hidden) if attention else None
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(out, classes)

    def forward(self, words, lengths):
        x = self.dropout(self.embedding(words))                                            # (N, T, width)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)
        if self.attention is None:
            last = last[0] if isinstance(last, tuple) else last                            # an LSTM's is the pair (h, c)
            summary = last.transpose(0, 1).flatten(1)                                      # (directions, N, H) -> (N, directions * H)
        else:
            states, lengths = pad_packed_sequence(states, batch_first=True)                # (N, T, directions * H)
            summary, self.weights = self.attention(states, lengths)
        return self.dense(self.dropout(summary))


def attended(model, data, i):
    """A test text with the words of high weight marked, in lines."""
    words, lengths, labels = collate([data.test[i]])
    with torch.no_grad():
        answer = model(words, lengths).argmax(1).item()
    weights = model.weights[0].tolist()
    marked = [word.upper() if weight > 2 / len(weights) else word
              for word, weight in zip(data.vocabulary.decode(words[0].tolist()), weights)]
    return f"{data.classes[labels.item()]}, and the answer is {data.classes[answer]}: {' '.join(marked)}"


def parse(argv):
    parser = options(__doc__, epochs=4, batch_size=32, lr=4e-3)
    parser.add_argument("--data", metavar="FOLDER", help="aclImdb, in place of the standard library")
    parser.add_argument("--cell", choices=CELLS, default="lstm", help="kind of recurrent network")
    parser.add_argument("--one-way", action="store_true", help="read from the start to the end only")
    parser.add_argument("--attention", action="store_true", help="weigh all states, in place of taking the last one")
    parser.add_argument("--width", type=positive(int), default=64, help="of the embeddings")
    parser.add_argument("--hidden", type=positive(int), default=64, help="of the states, for each direction")
    parser.add_argument("--dropout", type=share, default=0.5, help="share of the activations")
    return parser.parse_args(argv)


def run(argv=None):
    args = parse(argv)
    torch.manual_seed(args.seed)
    data = texts(args.data)
    model = TextRNN(data.vocabulary, len(data.classes), args.cell, args.width, args.hidden, args.one_way, args.attention, args.dropout)
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
    if args.attention:
        print("\n".join(attended(model, data, i) for i in range(0, len(data.test), -(-len(data.test) // 3))))
    return score()


if __name__ == "__main__":
    sys.exit(command("text_rnn.py", run))
