"""perf_report and Benchmark: a figure for every size and contender, in Triton's names.

    @perf_report(Benchmark(x_names=["n"], x_vals=[2**i for i in range(10, 20)], line_arg="provider", line_vals=["ours", "numpy"],
                           line_names=["ours", "NumPy"], ylabel="GB/s", plot_name="softmax", args={"rows": 64}))
    def bench(n, provider, rows):
        ms, low, high = do_bench(..., quantiles=[0.5, 0.2, 0.8])
        return gbps(ms), gbps(high), gbps(low)       # or one number

    bench.run(print_data=True)
"""
import csv
import importlib
import os

from ..serialization import replacing


class Benchmark:
    """What to vary and how to name it.

    x_names: arguments that take each value of x_vals (a number for all of them, or a tuple with one each).  line_arg: the argument
    that takes line_vals, called line_names in the table.  args: further arguments, the same for all.  plot_name: of the files.
    ylabel, xlabel, x_log, y_log, styles, color: of the plot.
    """

    def __init__(self, x_names, x_vals, line_arg, line_vals, line_names, plot_name, args, xlabel="", ylabel="", x_log=False, y_log=False, styles=None,
                 color=None):
        if isinstance(x_names, str):
            raise TypeError(f"x_names is a list of names, such as [{x_names!r}], not {x_names!r}")
        if len(line_vals) != len(line_names):
            raise ValueError(f"{len(line_vals)} line_vals have {len(line_names)} line_names")
        self.x_names, self.x_vals = list(x_names), list(x_vals)
        self.line_arg, self.line_vals, self.line_names = line_arg, list(line_vals), list(line_names)
        self.plot_name, self.args, self.xlabel, self.ylabel, self.x_log, self.y_log = plot_name, dict(args), xlabel, ylabel, x_log, y_log
        self.styles, self.color = styles, color


class Mark:
    """A function with its Benchmarks: run() measures."""

    def __init__(self, fn, benchmarks):
        self.fn, self.benchmarks = fn, benchmarks
        self.__name__, self.__doc__ = getattr(fn, "__name__", "bench"), fn.__doc__

    def __call__(self, *args, **kwargs):
        return self.fn(*args, **kwargs)

    def run(self, show_plots=False, print_data=False, save_path="", return_df=False, **kwargs):
        """Call the function for every size and line; kwargs are handed to it.

        print_data: print a table.  save_path: a folder for PLOT_NAME.csv and, where matplotlib is installed, PLOT_NAME.png.
        show_plots: needs matplotlib.  return_df: give the rows as pandas data frames (a list for several Benchmarks).
        """
        several = isinstance(self.benchmarks, list | tuple)
        if save_path:
            os.makedirs(save_path, exist_ok=True)    # before anything is measured: it may not be possible
        done = []
        for bench in self.benchmarks if several else [self.benchmarks]:
            head, rows, spread = measured(self.fn, bench, kwargs)
            if print_data:
                print(f"{bench.plot_name}:\n{table(head, rows)}")
            if save_path:
                save(save_path, bench, head, rows, spread)
            if show_plots:
                shown(plotted(bench, rows, spread))
            done.append(frame(head, rows) if return_df else rows)
        return (done if several else done[0]) if return_df else None


def perf_report(benchmarks):
    """A decorator: the function becomes a Mark, whose run() measures it by one Benchmark or a list of them."""
    return lambda fn: Mark(fn, benchmarks)


def measured(fn, bench, kwargs):
    """(head, rows of medians, {line name: [(low, high)]})."""
    unit = f" ({bench.ylabel})" if bench.ylabel else ""
    head = [*bench.x_names, *(f"{name}{unit}" for name in bench.line_names)]
    rows, spread = [], {name: [] for name in bench.line_names}
    for x in bench.x_vals:
        values = tuple(x) if isinstance(x, tuple | list) else (x,) * len(bench.x_names)
        if len(values) != len(bench.x_names):
            raise ValueError(f"{bench.plot_name}: {x!r} has {len(values)} values for {', '.join(bench.x_names)}")
        row = list(values)
        for line, name in zip(bench.line_vals, bench.line_names):
            at = f"{bench.plot_name} at {', '.join(f'{n}={v}' for n, v in zip(bench.x_names, values))}, {bench.line_arg}={line!r}"
            try:
                y = fn(**dict(zip(bench.x_names, values)), **{bench.line_arg: line}, **bench.args, **kwargs)
            except Exception as error:
                error.add_note(f"while measuring {at}")
                raise
            if isinstance(y, tuple | list) and len(y) != 3:
                raise ValueError(f"{at}: the function must give a number, or (median, low, high), not {y!r}")
            middle, low, high = y if isinstance(y, tuple | list) else (y, None, None)
            row.append(middle)
            spread[name].append((low, high))
        rows.append(row)
    return head, rows, spread


def table(head, rows):
    text = [[str(x) for x in head], *([f"{x:.6g}" if isinstance(x, float) else str(x) for x in row] for row in rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    return "\n".join("  ".join(x.rjust(w) for x, w in zip(row, widths)) for row in text)


def save(folder, bench, head, rows, spread):
    os.makedirs(folder, exist_ok=True)
    with replacing(os.path.join(folder, f"{bench.plot_name}.csv")) as path, open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    try:
        import matplotlib  # noqa: F401
    except ImportError:                              # the figures are there; only the picture needs it
        return
    import matplotlib.pyplot as plt
    figure = plotted(bench, rows, spread)
    figure.savefig(os.path.join(folder, f"{bench.plot_name}.png"))
    plt.close(figure)


def plotted(bench, rows, spread):
    """A figure of matplotlib with the lines drawn; ImportError without matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: python -m pip install matplotlib") from error
    figure, axes = plt.subplots()
    xs = [row[0] for row in rows]
    for i, name in enumerate(bench.line_names):
        color, style = (bench.styles[i] if bench.styles else (None, "-"))
        axes.plot(xs, [row[len(bench.x_names) + i] for row in rows], label=name, color=color or bench.color, linestyle=style)
        lows, highs = zip(*spread[name]) if spread[name] else ((), ())
        if lows and None not in (*lows, *highs):
            axes.fill_between(xs, lows, highs, alpha=0.15, color=color or bench.color)
    axes.set_xlabel(bench.xlabel or bench.x_names[0])
    axes.set_ylabel(bench.ylabel)
    axes.set_xscale("log" if bench.x_log else "linear")
    axes.set_yscale("log" if bench.y_log else "linear")
    axes.legend()
    return figure


def frame(head, rows):
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ImportError("return_df=True needs pandas: python -m pip install pandas") from error
    return pandas.DataFrame(rows, columns=head)


def shown(figure):
    import matplotlib.pyplot as plt
    plt.show()
    plt.close(figure)
