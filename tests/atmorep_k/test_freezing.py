import pytest

from atmorep_k.freezing import is_frozen

KERNEL = "encoder/temperature/block_0/project/kernel"


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ([], False),
        (["*"], True),
        (["encoder/temperature/*"], True),
        (["encoder/vorticity/*"], False),
        (["*/temperature/*"], True),
        (["*/kernel"], True),
        (["encoder/temperature"], False),  # a whole path matches, not its beginning
        (["Encoder/*"], False),
        (["encoder/temperature/block_[12]/*"], False),
        (["*", "!encoder/*"], False),
        (["!encoder/*", "*"], True),
        (["*", "!encoder/*", "encoder/temperature/*"], True),
        (["*", "!decoder/*"], True),
        (["!*"], False),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns, frozen):
    assert is_frozen(KERNEL, patterns) is frozen
