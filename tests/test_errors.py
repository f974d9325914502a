"""Bad input is refused at once, in PyTorch's class of error, by a message that names the op and what did not fit."""
import re

import pytest
from errors import MISTAKES

import minitorch as mt


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_bad_input_is_refused_by_name(mistake):
    with pytest.raises(mistake.kind) as error:
        mistake.call(mt)
    assert re.search(mistake.words, str(error.value)), str(error.value)
    assert type(error.value) in (mistake.kind, mt.linalg.LinAlgError), f"{type(error.value).__name__}: {error.value}"


def test_the_table_is_long_and_has_no_name_twice():
    assert len(MISTAKES) >= 150 and len({m.name for m in MISTAKES}) == len(MISTAKES)
