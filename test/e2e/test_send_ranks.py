"""Which rank reads and which writes, and what happens when there are too few."""

import os

import pytest
from harness import (
    ARGOSY,
    HOST,
    MI,
    OTHER_MPI,
    SELF,
    SELF_NETWORK,
    SHORT_HOST,
    UNDER,
    UNDER_MPIEXEC,
    USAGE,
    data_of,
    snapshot,
)


@pytest.mark.parametrize("launch", [SELF, UNDER, SELF_NETWORK], ids=repr)
@pytest.mark.parametrize("ranks, source, target", [(2, 1, 0), (3, 2, 1), (4, 0, 3), (4, 3, 0), (3, 0, 1)])
def test_from_and_to(place, send, launch, ranks, source, target):
    path = place.file(size=2 * MI + 3)
    result = send("--from", str(source), "--to", str(target), path, place.out, ranks=ranks, launch=launch)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(2 * MI + 3)
    assert [rank["rank"] for rank in result.report["ranks"]] == list(range(ranks))
    assert [rank["bytes_read"] for rank in result.report["ranks"]] == [2 * MI + 3 if r == source else 0 for r in range(ranks)]
    assert [rank["bytes_written"] for rank in result.report["ranks"]] == [2 * MI + 3 if r == target else 0 for r in range(ranks)]
    assert {rank["host"] for rank in result.report["ranks"]} <= {HOST, SHORT_HOST}


def test_errors_name_the_rank_that_had_them(place, send):
    result = send("--from", "2", "--to", "1", "src/gone", place.out, ranks=3)
    assert result.code == 3, result
    assert result.errors[0]["rank"] == 2, result
    (place / "file").write_text("in the way")
    result = send("--from", "0", "--to", "2", place.file("a", size=1), place / "file/below", ranks=3)
    assert result.code == 4, result
    assert result.errors[0]["rank"] == 2, result


def one_line(result):
    assert len(result.lines) == 1, result
    return result.lines[0]


@pytest.mark.parametrize("by", [SELF, UNDER], ids=repr)
@pytest.mark.parametrize(
    "ranks, options",
    [(1, []), (2, ["--to", "2"]), (2, ["--from", "2"]), (3, ["--to", "3"]), (2, ["--to", "-1"]), (2, ["--from", "-1"])],
    ids=str,
)
def test_ranks_that_are_not_there(place, argosy, by, ranks, options):
    path = place.file(size=10)
    result = argosy("send", *options, path, place.out, ranks=ranks, launch=by, timeout=20)
    assert result.code == USAGE, result
    assert "rank" in one_line(result).lower()
    assert snapshot(place.out) is None


def test_default_is_two_ranks(place, send):
    path = place.file(size=10)
    assert len(send(path, place.out).report["ranks"]) == 2
    assert send("--to", "2", path, place.out).code == USAGE


@pytest.mark.parametrize("count", ["0", "-2", "x", "", "1.5", "99999999999999999999"])
def test_nonsense_rank_counts(place, argosy, count):
    path = place.file(size=10)
    assert argosy("-n", count, "send", path, place.out).code == USAGE
    assert argosy("send", "--ranks", count, path, place.out).code == USAGE


def test_one_rank_to_itself(place, send):
    """Either it works or it is refused as wrong usage; it does not hang and does no harm."""
    path = place.file(size=MI)
    result = send("--from", "0", "--to", "0", path, place.out, timeout=20)
    assert result.code in (0, USAGE), result
    if result.code == 0:
        assert (place.out / "big.bin").read_bytes() == data_of(MI)


def test_under_the_other_mpi(place, argosy):
    """n programs of one rank each would be the result: one line, and 2."""
    path = place.file(size=10)
    mpiexec = f"/usr/bin/mpiexec.{OTHER_MPI}"
    if not os.access(mpiexec, os.X_OK):
        pytest.skip(f"needs {mpiexec}")
    result = argosy(argv=[mpiexec, "-n", "2", ARGOSY, "send", path, str(place.out)], env=UNDER_MPIEXEC, timeout=20)
    assert result.code == USAGE, result
    lines = [line for line in result.lines if "argosy" in line.lower()]
    assert len(lines) == 1, result
    assert snapshot(place.out) is None


@pytest.mark.parametrize("variable", ["SLURM_PROCID", "SLURM_LOCALID"])
def test_a_batch_script_is_no_launcher(place, send, variable):
    result = send(place.file(size=10), place.out, env={variable: "0"})
    assert result.code == 0, result
    assert len(result.report["ranks"]) == 2


def test_ranks_option_before_or_after_the_command(place, argosy):
    path = place.file(size=10)
    for words in (["-n", "3", "send"], ["send", "-n", "3"], ["--ranks", "3", "send"], ["send", "--ranks=3"]):
        result = argosy(*words, "--json", path, place.out)
        assert result.code == 0 and len(result.report["ranks"]) == 3, result


def test_hosts_that_are_this_machine(place, send):
    path = place.file(size=10)
    result = send("--hosts", "localhost:2", path, place.out)
    assert result.code == 0 and len(result.report["ranks"]) == 2, result
    (place / "hosts").write_text("# a hostfile\nlocalhost slots=2\n")
    result = send("--hostfile", "hosts", path, place.out)
    assert result.code == 0 and len(result.report["ranks"]) == 2, result


@pytest.mark.parametrize("hosts", ["", ",", "a,,b", "a:0", "a:x", "-oProxyCommand=x", "a b"])
def test_nonsense_hosts(place, argosy, hosts):
    result = argosy("send", f"--hosts={hosts}", place.file(size=10), place.out, timeout=20)
    assert result.code == USAGE, result


def test_missing_hostfile(place, argosy):
    result = argosy("send", "--hostfile", "gone", place.file(size=10), place.out)
    assert result.code == USAGE and "gone" in one_line(result), result
