"""Interrupts, killed and stopped processes: everything is gone, names are whole or absent, the code says which."""

import os
import re
import signal

import pytest
from harness import KI, MI, MPI, SELF, SELF_NETWORK, SYSTEM, UNDER, data_of, goes_on, leftovers, until

pytestmark = pytest.mark.usefixtures("fault_library")
SIZE = 64 * MI


def under_way(place, start, *options, launch=SELF, size=SIZE, **more):
    """A run that would take a minute, once its data flows."""
    place.file(size=size)
    place.out.mkdir()
    (place.out / "neighbour").write_text("old")
    job = start("send", "--progress", "none", "--bwlimit", "1Mi", "--chunk-size", "256Ki", "src/big.bin", "out", *options,
                launch=launch, **more)  # fmt: skip
    until(lambda: _written(place) > 0, 20, "data in a temporary file")
    return job


def _written(place):
    return sum(os.stat(path).st_blocks for path in leftovers(place.out))


def nothing_visible(place):
    assert sorted(name for name in os.listdir(place.out) if not name.startswith(".argosy")) == ["neighbour"]
    assert (place.out / "neighbour").read_text() == "old"


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK], ids=repr)
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_the_supervisor(place, start, launch, number, code):
    job = under_way(place, start, launch=launch)
    job.signal(number)
    result = job.wait(4)
    assert result.code == code, result
    job.gone(0.5)
    assert result.seconds < 30
    nothing_visible(place)
    assert goes_on(place.out)


@pytest.mark.allow_leftovers
def test_ctrl_c_takes_less_than_two_seconds(place, start):
    import time

    job = under_way(place, start)
    began = time.monotonic()
    os.killpg(job.pid, signal.SIGINT)  # as a terminal does: the whole foreground group
    result = job.wait(4)
    job.gone(max(0.1, 2 - (time.monotonic() - began)))
    assert time.monotonic() - began < 2, result
    assert result.code == 130, result
    nothing_visible(place)
    assert goes_on(place.out)


@pytest.mark.allow_leftovers  # the second Ctrl-C kills at once; the next run takes over what is left
def test_impatient_user(place, start):
    job = under_way(place, start)
    for _ in range(3):
        if job.running():
            job.signal(signal.SIGINT)
    result = job.wait(4)
    assert result.code == 130, result
    nothing_visible(place)


@pytest.mark.allow_leftovers
def test_interrupted_run_reports_in_json(place, start):
    job = under_way(place, start, "--json")
    job.signal(signal.SIGINT)
    result = job.wait(4)
    assert result.code == 130 and result.report["exit"] == 130, result
    assert result.report["files"] == 0


def test_interrupt_while_the_job_starts(place, start):
    place.file(size=10)
    job = start("send", "src/big.bin", "out")
    job.mpiexec()
    job.signal(signal.SIGINT)
    result = job.wait(6)
    assert result.code in (130, 0), result  # the job may have been quicker
    job.gone(2)


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("op, rank, path", [("write", 1, "/out/"), ("read", 0, "/src/")])
def test_interrupt_while_the_file_system_hangs(place, start, op, rank, path):
    place.file(size=2 * MI)
    reached = place / "reached"
    job = start("send", "src/big.bin", "out",
                fault={"op": op, "rank": rank, "path": path, "min": 4096, "mark": reached, "wait": place / "never"})  # fmt: skip
    until(reached.exists, what=f"the {op}")
    job.signal(signal.SIGINT)
    result = job.wait(5)
    assert result.code == 130, result
    job.gone(1)
    assert not os.path.exists(place.out / "big.bin")


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_mpiexec(place, start, number):
    """Under somebody else's launcher the code is the launcher's; nothing stays behind but a temporary file at most."""
    job = under_way(place, start, launch=UNDER)
    job.signal(number)
    result = job.wait(15)
    # Hydra, when it is interrupted itself, may end with 0 whatever its ranks end with: so it does with `sleep`.
    if MPI != "mpich":
        assert result.code != 0, result
    job.gone()
    nothing_visible(place)


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("launch", [SELF, SELF_NETWORK, UNDER], ids=repr)
@pytest.mark.parametrize("rank", [0, 1])
def test_rank_killed(place, start, send, launch, rank):
    job = under_way(place, start, launch=launch)
    job.signal(signal.SIGKILL, job.rank(rank).pid)
    result = job.wait(15)
    job.gone()
    nothing_visible(place)
    if launch is not UNDER:
        assert result.code == SYSTEM, result
        assert len(result.lines) == 1, result
    else:
        assert result.code != 0
    assert send("src/big.bin", "out").code == 0
    assert (place.out / "big.bin").read_bytes() == data_of(SIZE)
    assert leftovers(place.out) == []


@pytest.mark.allow_leftovers
def test_mpiexec_killed(place, start):
    job = under_way(place, start)
    job.signal(signal.SIGKILL, job.mpiexec().pid)
    result = job.wait(15)
    assert result.code == SYSTEM, result
    assert len(result.lines) == 1, result
    job.gone()
    nothing_visible(place)


@pytest.mark.allow_leftovers
def test_supervisor_killed(place, start):
    job = under_way(place, start)
    job.signal(signal.SIGKILL)
    assert job.wait(5).code == -signal.SIGKILL
    job.gone(10)
    nothing_visible(place)


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("at", ["after the last write", "at the rename"])
def test_killed_near_the_end(place, start, at):
    """The name is whole or absent."""
    place.file(size=2 * MI)
    fault = {"op": "chmod", "rank": 1, "path": "/out/"} if at == "after the last write" else {"op": "rename", "rank": 1, "path": "/out/big.bin"}
    result = start("send", "src/big.bin", "out", fault=dict(fault, signal="SIGKILL")).wait(20)
    assert result.code == SYSTEM, result
    assert not os.path.exists(place.out / "big.bin")


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("launch", [SELF, UNDER], ids=repr)
@pytest.mark.parametrize("rank", [0, 1])
def test_rank_stopped(place, start, launch, rank):
    """Nothing moves: after --stall-timeout one line says which rank waits for which, and every process is gone."""
    job = under_way(place, start, "--stall-timeout", "3", launch=launch)
    job.signal(signal.SIGSTOP, job.rank(rank).pid)
    result = job.wait(25)
    job.gone(5)
    if launch is SELF:
        assert result.code == SYSTEM, result
    else:
        assert result.code != 0, result
    told = [line for line in result.lines if "rank" in line]
    assert len(told) == 1, result
    assert {int(number) for number in re.findall(r"rank (\d+)", told[0])} == {0, 1}, result
    assert "wait" in told[0], result
    assert result.seconds < 20
    nothing_visible(place)


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("op, rank, path", [("write", 1, "/out/"), ("read", 0, "/src/")])
def test_file_system_that_hangs(place, start, op, rank, path):
    place.file(size=2 * MI)
    job = start("send", "--progress", "none", "--stall-timeout", "2", "src/big.bin", "out",
                fault={"op": op, "rank": rank, "path": path, "min": 4096, "wait": place / "never"})  # fmt: skip
    result = job.wait(20)
    assert result.code == SYSTEM, result
    told = [line for line in result.lines if f"rank {rank}" in line]
    assert len(told) == 1, result
    job.gone()
    assert not os.path.exists(place.out / "big.bin")


@pytest.mark.allow_leftovers
def test_stopped_rank_in_the_report(place, start):
    job = under_way(place, start, "--stall-timeout", "2", "--json")
    job.signal(signal.SIGSTOP, job.rank(1).pid)
    result = job.wait(20)
    assert result.code == SYSTEM and result.report["exit"] == SYSTEM, result
    assert result.errors and result.errors[0]["kind"] == "system", result


def test_slow_is_not_stalled(place, send):
    """A limit far below a chunk a --stall-timeout is no stall."""
    place.file(size=1300 * KI)
    result = send("src/big.bin", "out", "--bwlimit", "512Ki", "--chunk-size", "256Ki", "--stall-timeout", "1")
    assert result.code == 0, result
