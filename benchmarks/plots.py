"""Pictures of results: benchmarks/results/cpu.svg (time by workload and library) and growth.svg (time by size).

    python benchmarks/plots.py                           # from the figures in benchmarks/results/
"""
import timing
from turns import LIBRARIES, PEERS

COLOURS = {"torch": "black", "fast": "tab:red", "plain": "tab:orange", "jit": "tab:blue", "jax": "tab:cyan", "mygrad": "tab:green",
           "autograd": "tab:olive", "tinygrad": "tab:purple", "dezero": "tab:brown"}
NAMES = {**LIBRARIES, **PEERS}


def drawing():
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("the plots need matplotlib: python -m pip install matplotlib") from None
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "minitorch", "font.size": 9})
    import matplotlib.pyplot as plt
    return plt


def saved(figure, name):
    path = timing.RESULTS / f"{name}.svg"
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    print(f"written: {path}")


def cpu(figures):
    """Ratios to PyTorch's time, a line for each workload, the fastest first."""
    plt = drawing()
    rows = sorted(figures["rows"].items(), key=lambda item: item[1].get("fast", {}).get("ratio", 1))
    figure, ax = plt.subplots(figsize=(8, 0.28 * len(rows) + 1))
    for library, label in NAMES.items():
        points = [(row[library]["ratio"], i) for i, (_, row) in enumerate(rows) if "ratio" in row.get(library, {})]
        if points and library != "torch":
            ours = library == "fast"
            ax.scatter(*zip(*points), s=45 if ours else 22, color=COLOURS[library], marker="D" if ours else "o", label=label, zorder=3 if ours else 2)
    ax.axvline(1, color="black", linewidth=1)
    ax.set(xscale="log", xlabel="time / PyTorch's (left is faster)", yticks=range(len(rows)), yticklabels=[name for name, _ in rows])
    ax.invert_yaxis()
    ax.grid(axis="both", alpha=0.3)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    saved(figure, "cpu")


def growth(figures):
    """Time by size, a picture for each curve."""
    from growth import CURVES
    plt = drawing()
    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for ax, (name, row) in zip(axes.flat, figures["rows"].items()):
        for library, label in LIBRARIES.items():
            ax.plot(row["sizes"], row[library]["ms"], "o-", markersize=3, color=COLOURS[library], label=f"{label}: {row[library]['exponent']:.2f}")
        ax.set(xscale="log", yscale="log", title=name.removeprefix("100 "), xlabel=CURVES[name][0], ylabel="ms")
        ax.minorticks_off()
        ax.grid(alpha=0.3)
        ax.legend(frameon=False, fontsize=7, title="exponent", title_fontsize=7)
    saved(figure, "growth")


if __name__ == "__main__":
    cpu(timing.read("cpu"))
    growth(timing.read("growth"))
