"""Wrong usage ends with 2 and one line (or a usage text), under every launcher, without a hang, and touches nothing."""

import pytest
from harness import SELF, UNDER, USAGE, snapshot

WRONG = {
    "no command": [],
    "unknown command": ["frobnicate", "a", "b"],
    "nothing at all": ["send"],
    "one name only": ["send", "src/a"],
    "unknown option": ["send", "--frobnicate", "src/a", "out"],
    "unknown short option": ["send", "-Z", "src/a", "out"],
    "empty source": ["send", "", "out"],
    "from without value": ["send", "src/a", "out", "--from"],
    "from no number": ["send", "--from", "x", "src/a", "out"],
    "from huge": ["send", "--from", "99999999999999999999", "src/a", "out"],
    "chunk size 0": ["send", "--chunk-size", "0", "src/a", "out"],
    "chunk size negative": ["send", "--chunk-size=-1", "src/a", "out"],
    "chunk size no number": ["send", "--chunk-size", "big", "src/a", "out"],
    "chunk size unknown unit": ["send", "--chunk-size", "1Q", "src/a", "out"],
    "chunk size empty": ["send", "--chunk-size=", "src/a", "out"],
    "chunk size two units": ["send", "--chunk-size", "1KM", "src/a", "out"],
    "memory 0": ["send", "--memory", "0", "src/a", "out"],
    "memory negative": ["send", "--memory=-5", "src/a", "out"],
    "memory too little": ["send", "--memory", "100", "src/a", "out"],
    "memory overflows": ["send", "--memory", "99999999999999999999G", "src/a", "out"],
    "memory no number": ["send", "--memory", "lots", "src/a", "out"],
    "memory not a number": ["send", "--memory", "nan", "src/a", "out"],
    "rate no number": ["send", "--bwlimit", "fast", "src/a", "out"],
    "rate negative": ["send", "--bwlimit=-1M", "src/a", "out"],
    "stall negative": ["send", "--stall-timeout=-1", "src/a", "out"],
    "stall no number": ["send", "--stall-timeout", "soon", "src/a", "out"],
    "stall not a number": ["send", "--stall-timeout", "nan", "src/a", "out"],
    "progress unknown": ["send", "--progress", "fancy", "src/a", "out"],
    "flag with a value": ["send", "--fsync=maybe", "src/a", "out"],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_usage(place, argosy, wrong):
    place.file("a", size=10)
    before = snapshot(place.root)
    result = argosy(*WRONG[wrong], timeout=20)
    assert result.code == USAGE, result
    assert result.err.strip() and not result.out.strip(), result
    assert snapshot(place.root) == before


@pytest.mark.parametrize(
    "wrong", ["no command", "nothing at all", "one name only", "unknown option", "from no number", "chunk size no number", "memory 0"]
)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_wrong_usage_under_mpiexec(place, argosy, wrong, ranks):
    place.file("a", size=10)
    before = snapshot(place.root)
    result = argosy(*WRONG[wrong], launch=UNDER, ranks=ranks, timeout=20)
    assert result.code == USAGE, result
    alone = argosy(*WRONG[wrong], launch=SELF)
    assert result.lines == alone.lines, "one rank speaks, and says the same"
    assert snapshot(place.root) == before


@pytest.mark.parametrize("wrong", ["one name only", "unknown option", "chunk size no number", "progress unknown"])
def test_the_line_names_what_is_wrong(place, argosy, wrong):
    result = argosy(*WRONG[wrong])
    assert any(word.lstrip("-").split("=")[0].lower() in result.text.lower() for word in WRONG[wrong][:3]), result


def test_usage_error_starts_no_job(place, start):
    job = start("send", "--progress", "fancy", "src/a", "out")
    assert job.wait().seconds < 1
