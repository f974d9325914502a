"""summary(): a model as a table of layers, the shapes of their outputs and the numbers of their weights."""
from ..layer import Layer
from ..symbolic import KerasTensor
from ..variable import leaves, mapped, shown


def shape_of(layer):
    """The shape of a layer's output, in words; ? where it is not known yet."""
    if layer._nodes:
        shapes = mapped(lambda t: Shape(t.shape), layer._nodes[0].outputs)
    elif layer._seen_shape is not None:
        seen = layer._seen_shape
        shapes = Shape(seen) if isinstance(seen, tuple) and all(n is None or isinstance(n, int) for n in seen) else mapped(Shape, [*seen])
    else:
        return "?"
    found = leaves(shapes)
    return str(found[0]) if len(found) == 1 else "[" + ", ".join(map(str, found)) + "]"


class Shape:
    """A shape that is one thing, not several."""

    def __init__(self, sizes):
        self.sizes = sizes

    def __str__(self):
        return shown(self.sizes)


def size(numbers, bytes_each):
    """1,234 (4.82 KB)"""
    amount, unit = numbers * bytes_each, "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{numbers:,} ({amount:.2f} {unit})"


def connections(layer, nodes):
    """Where a layer's inputs come from."""
    found = [f"{t.history[0].layer.name}[{t.history[0].index}][{t.history[1]}]"
             for node in layer._nodes if node in nodes for t in node.inputs()]
    return ",\n".join(found) or "-"


def table(model, line_length=None, expand_nested=False, show_trainable=False):
    """The whole summary as text."""
    graph = model._graph
    branched = graph is not None and not hasattr(model, "_row") and (
        len(leaves(graph.inputs)) > 1 or len(leaves(graph.outputs)) > 1 or any(len(n.inputs()) > 1 for n in graph.nodes)
        or len({id(n.layer) for n in graph.nodes}) < len(graph.nodes) or forks(graph))
    heads = ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * branched + ["Trainable"] * show_trainable

    def rows_of(layers, indent=""):
        for layer in layers:
            built = layer.built or layer.weights
            row = [f"{indent}{layer.name} ({type(layer).__name__})", shape_of(layer), f"{layer.count_params():,}" if built else "0 (unbuilt)"]
            row += [connections(layer, graph.nodes)] if branched else []
            row += [("Y" if layer.trainable else "N") if layer.weights else "-"] if show_trainable else []
            yield row
            if expand_nested and hasattr(layer, "layers"):
                yield from rows_of(layer.layers, "   " * (len(indent) // 3) + " └ ")
    rows = list(rows_of([m for m in model.layers if isinstance(m, Layer)]))
    widths = [max(len(line) for r in [heads, *rows] for line in r[i].split("\n")) for i in range(len(heads))]
    widths = [max(w, least) for w, least in zip(widths, (31, 22, 13, 17, 9))]

    def drawn(cells, bar):
        parts = [c.split("\n") for c in cells]
        texts = []
        for k in range(max(map(len, parts))):
            found = [p[k] if k < len(p) else "" for p in parts]
            texts.append(f"{bar} " + f" {bar} ".join(c.rjust(w) if i == 2 else c.ljust(w)
                                                     for i, (c, w) in enumerate(zip(found, widths))) + f" {bar}")
        return "\n".join(texts)

    def rule(left, middle, right, dash):
        return left + middle.join(dash * (w + 2) for w in widths) + right
    lines = [f'Model: "{model.name}"', rule("┏", "┳", "┓", "━"), drawn(heads, "┃"), rule("┡", "╇", "┩", "━")]
    for i, row in enumerate(rows):
        lines += [rule("├", "┼", "┤", "─")] * (i > 0) + [drawn(row, "│")]
    lines.append(rule("└", "┴", "┘", "─"))
    weights = model.weights
    each = weights[0].element_size() if weights else 4
    trained = sum(w.numel() for w in weights if w.requires_grad)
    total = sum(w.numel() for w in weights)
    return "\n".join([*lines, f" Total params: {size(total, each)}", f" Trainable params: {size(trained, each)}",
                      f" Non-trainable params: {size(total - trained, each)}"])


def forks(graph):
    """Whether a result of one layer goes to several."""
    used = [id(t) for n in graph.nodes for t in n.inputs() if isinstance(t, KerasTensor)]
    return len(used) > len(set(used))
