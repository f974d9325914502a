"""do_bench and perf_report: Triton's names, arguments and results."""
import pytest

from minitorch.benchmark import Benchmark, do_bench, perf_report
from minitorch.benchmark.do_bench import summarised


def test_do_bench_gives_what_tritons_gives():
    calls = []
    times = do_bench(lambda: calls.append(1), warmup=0.1, rep=0.5, return_mode="all", device="cpu")
    assert len(times) >= 1 and len(calls) > len(times) and all(t >= 0 for t in times)
    assert summarised([3.0, 1.0, 2.0], (0.5, 0.0, 1.0)) == [2.0, 1.0, 3.0] and summarised([3.0, 1.0, 2.0], [0.5]) == 2.0
    assert [summarised([4.0, 1.0, 1.0], None, mode) for mode in ("min", "max", "mean", "median")] == [1, 4, 2, 1]

    class Tensor:
        grad = 1
    x = Tensor()
    do_bench(lambda: None, warmup=0, rep=0, grad_to_none=[x], device="cpu")
    assert x.grad is None
    with pytest.raises(ValueError, match="return_mode must be one of"):
        do_bench(lambda: None, return_mode="average")


def test_perf_report_calls_every_size_and_line(tmp_path, capsys):
    @perf_report(Benchmark(x_names=["n", "m"], x_vals=[1, (2, 5)], line_arg="provider", line_vals=["a", "b"], line_names=["A", "B"], ylabel="GB/s",
                           plot_name="product", args={"k": 10}))
    def bench(n, m, provider, k):
        y = n * m * k + (provider == "b")
        return (y, y - 1, y + 1) if provider == "a" else y
    bench.run(print_data=True, save_path=str(tmp_path))
    assert capsys.readouterr().out.split() == "product: n m A (GB/s) B (GB/s) 1 1 10 11 2 5 100 101".split()
    assert (tmp_path / "product.csv").read_text().splitlines() == ["n,m,A (GB/s),B (GB/s)", "1,1,10,11", "2,5,100,101"]
    assert bench(1, 2, "a", 3) == (6, 5, 7)
    with pytest.raises(TypeError, match=r"a list of names, such as \['size'\]"):
        Benchmark("size", [1], "p", [1], ["A"], "x", {})

    def raises(n, provider):
        return (1, 2) if provider == "pair" else 1 / 0
    for line, error, words in (("pair", ValueError, "x at n=4, provider='pair': the function must give a number, or"),
                               ("zero", ZeroDivisionError, "division by zero")):
        with pytest.raises(error, match=words) as raised:
            perf_report(Benchmark(["n"], [4], "provider", [line], ["A"], "x", {}))(raises).run()
    assert raised.value.__notes__ == ["while measuring x at n=4, provider='zero'"]
    with pytest.raises(OSError):
        (tmp_path / "file").write_text("")
        bench.run(save_path=str(tmp_path / "file" / "folder"))
    with pytest.raises(ValueError, match="2 line_vals have 1 line_names"):
        Benchmark(["n"], [1], "p", [1, 2], ["A"], "x", {})
