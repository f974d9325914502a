"""What compare() returns, saved and loaded again, and files that hold no comparison."""
import json

import cheats
import pytest

from minitorch.benchmark import Refused, compare, load


def test_a_result_is_the_same_after_it_was_saved_and_loaded(tmp_path):
    given = {"right": cheats.honest, "zeros": cheats.zeros()}
    found = compare(given, cheats.reference, cheats.host_case(), rounds=8, seconds=0)
    found.save(tmp_path / "found.json")
    again = load(tmp_path / "found.json")
    assert again.to_json() == found.to_json() == (tmp_path / "found.json").read_text() and str(again) == str(found)
    plain = json.loads(found.to_json())
    assert plain["schema"] == "minitorch.benchmark/1" and plain["cases"][0]["rows"][1]["reasons"][0]["name"] == "zeros"
    told = plain["provenance"]
    assert {"numpy", "python", "cpu", "commit", "command", "seed", "before", "after", "pinned", "processors"} <= set(told)
    assert plain["ceiling"]["bandwidth"] > 1e8 and plain["ceiling"]["flops"]["float32"] > 1e8
    assert again[0]["right"].interval.low <= again[0]["right"].interval.median <= again[0]["right"].interval.high
    with pytest.raises(Refused, match="zeros on x . w . tanh.x.: zeros"):
        found.raise_on_failure()
    with pytest.raises(KeyError, match="nobody was not measured"):
        found[0]["nobody"]
    for lost in (lambda f: f["provenance"].pop("pinned"), lambda f: f["cases"][0]["rows"][0]["timing"].pop("p20"),
                 lambda f: f["cases"][0]["rows"][0]["error"].pop("own"), lambda f: f.pop("cases")):
        cut = json.loads(found.to_json())
        lost(cut)
        (tmp_path / "cut.json").write_text(json.dumps(cut))
        with pytest.raises(ValueError, match="no whole comparison"):
            load(tmp_path / "cut.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "minitorch.benchmark/0"}', '{"schema": "minitorch.benchmark/1", "cases": [{}]}'])
def test_a_file_that_holds_no_comparison_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="is no JSON|holds no comparison|no whole comparison"):
        load(tmp_path / "x.json")
