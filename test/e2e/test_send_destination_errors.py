"""A destination that can't be made, written or filled, or is in use: exit 4, one line, nothing visible changed."""

import errno
import os
import re
import shutil
import stat

import pytest
from harness import (
    DESTINATION,
    HOST,
    KI,
    MI,
    MPI,
    PARTIAL,
    SELF,
    SELF_NETWORK,
    SHORT_HOST,
    UNDER,
    USAGE,
    data_of,
    leftovers,
    mounted,
    snapshot,
    until,
)

pytestmark = pytest.mark.usefixtures("fault_library")
WAYS = [SELF, UNDER, SELF_NETWORK]


def check_one_error(result, number=None, rank=1):
    assert result.code == DESTINATION, result
    assert len(result.lines) == 1, result
    line = result.lines[0]
    assert f"rank {rank}" in line and (HOST in line or SHORT_HOST in line), result
    assert result.errors and all(error["kind"] == "destination" for error in result.errors), result
    error = result.errors[0]
    assert error["rank"] == rank and error["host"] in (HOST, SHORT_HOST), result
    if number is not None:
        assert error["errno"] == number, result
    assert result.report["files"] == 0 and result.report["bytes"] == 0, result


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("below", ["out", "out/", "out/a/b/c", "./out/../out/a", "out//a"])
def test_folder_is_made_with_its_parents(place, send, launch, below):
    if ".." in below:
        place.out.mkdir()
    result = send(place.file(size=10), below, launch=launch)
    assert result.code == 0, result
    assert (place / below / "big.bin").read_bytes() == data_of(10)
    assert stat.S_IMODE(os.stat(place / below).st_mode) == 0o777 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_current_folder(place, send):
    (place / "here").mkdir()
    place.file(size=10)
    result = send("../src/big.bin", ".", cwd=place / "here")
    assert result.code == 0 and os.listdir(place / "here") == ["big.bin"], result


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("below", ["file", "file/a", "file/a/b"])
def test_a_file_is_in_the_way(place, send, launch, below):
    (place / "file").write_text("in the way")
    before = snapshot(place.root)
    path = place.file(size=2 * MI)
    result = send(path, below, launch=launch)
    check_one_error(result, errno.ENOTDIR if "/" in below else None)
    assert "file" in result.lines[0], result
    os.unlink(path)
    assert snapshot(place.root) == before


def test_empty_folder_name(place, argosy):
    assert argosy("send", place.file(size=1), "").code in (USAGE, DESTINATION)


def test_folder_that_nobody_can_make(place, send, launch):
    result = send(place.file(size=10), "/proc/argosy/out", launch=launch)
    check_one_error(result)


def test_read_only_file_system(place, send, launch, mounts):
    path = place.file(size=10)
    place.out.mkdir()
    (place.out / "big.bin").write_text("old")
    before = snapshot(place.out)
    with mounted(place.out, "--bind", str(place.out)):
        import subprocess

        subprocess.run(["mount", "-o", "remount,bind,ro", str(place.out)], check=True)
        result = send(path, place.out, launch=launch)
        check_one_error(result, errno.EROFS)
        result = send(path, place.out / "new", launch=launch)
        check_one_error(result, errno.EROFS)
    assert snapshot(place.out) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_no_permission(place, send):
    place.out.mkdir(mode=0o500)
    check_one_error(send(place.file(size=10), place.out), errno.EACCES)


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("full", [False, True])
def test_target_is_a_folder(place, send, launch, full):
    path = place.file(size=10)
    (place.out / "big.bin").mkdir(parents=True)
    if full:
        (place.out / "big.bin/inside").write_text("precious")
    before = snapshot(place.out)
    result = send(path, place.out, launch=launch)
    check_one_error(result, errno.EISDIR)
    assert snapshot(place.out) == before


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("op, name", [("write", "EIO"), ("write", "ENOSPC"), ("write", "EDQUOT"), ("rename", "EACCES")])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_call_fails(place, send, launch, op, name, nth):
    if op == "rename" and nth > 1:
        pytest.skip("there is one rename")
    path = place.file(size=8 * MI)
    place.out.mkdir()
    fault = {"op": op, "path": "/out/", "skip": "lock", "nth": nth, "times": "all", "fail": name}
    if op == "write":
        fault["min"] = 4096
    else:
        fault["path"] = "/out/big.bin"
    result = send(path, place.out, "--chunk-size", "1Mi", launch=launch, fault=fault)
    check_one_error(result, getattr(errno, name))
    assert os.strerror(getattr(errno, name)) in result.lines[0], result
    assert snapshot(place.out) == {}


def test_open_of_the_temporary_file_fails(place, send):
    path = place.file(size=MI)
    place.out.mkdir()
    result = send(path, place.out, fault={"op": "open", "rank": 1, "path": "/out/.argosy", "fail": "EMFILE", "times": "all"})
    assert result.code == DESTINATION, result
    assert snapshot(place.out) == {}


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_too_little_space_is_seen_before_anything_moves(place, send, launch, mounts):
    path = place.file(size=16 * MI)
    with mounted(place.out, "-t", "tmpfs", "-o", "size=8m", "argosy-test"):
        (place.out / "big.bin").write_text("old")
        before = snapshot(place.out)
        result = send(path, place.out, launch=launch)
        check_one_error(result, errno.ENOSPC)
        assert result.report["bytes_moved"] == 0 and result.report["ranks"][0]["bytes_read"] == 0, result
        assert snapshot(place.out) == before


def test_space_for_several_is_summed(place, send, mounts):
    paths = [place.file(str(number), size=3 * MI, seed=number) for number in range(4)]
    with mounted(place.out, "-t", "tmpfs", "-o", "size=8m", "argosy-test"):
        result = send(*paths, place.out)
        assert result.code in (DESTINATION, PARTIAL), result
        for name in os.listdir(place.out):
            assert (place.out / name).read_bytes() == data_of(3 * MI, seed=int(name))


def test_space_that_just_suffices(place, send, mounts):
    with mounted(place.out, "-t", "tmpfs", "-o", "size=8m", "argosy-test"):
        result = send(place.file(size=8 * MI - 64 * KI), place.out)
        assert result.code == 0, result


def test_little_space_as_the_file_system_tells_it(place, send):
    """Without root: statvfs is made to say so."""
    path = place.file(size=16 * MI)
    result = send(path, place.out, fault={"op": "space", "path": str(place.root), "space": 8 * MI, "times": "all"})
    assert result.code == DESTINATION, result
    assert not os.path.exists(place.out / "big.bin")


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_disk_fills_up_in_the_middle(place, send, launch, mounts):
    """Standard input has no size to check beforehand."""
    if MPI == "mpich" and launch is UNDER:
        pytest.skip("MPICH's mpiexec can't forward so much standard input (test_send_stdin.py)")
    with mounted(place.out, "-t", "tmpfs", "-o", "size=8m", "argosy-test"):
        (place.out / "neighbour").write_text("old")
        before = snapshot(place.out)
        result = send("-", "--as", "x", place.out, stdin=data_of(24 * MI), launch=launch, timeout=30)
        check_one_error(result, errno.ENOSPC)
        assert snapshot(place.out) == before
        assert shutil.disk_usage(place.out).used < 64 * KI


def test_one_target_of_three_fails(place, send, launch):
    for name in "abc":
        place.file(name, size=2 * MI, seed=ord(name))
    (place.out / "b").mkdir(parents=True)
    result = send("src/a", "src/b", "src/c", "out", launch=launch)
    assert result.code == PARTIAL, result
    for name in "ac":
        assert (place.out / name).read_bytes() == data_of(2 * MI, seed=ord(name))
    assert (place.out / "b").is_dir()
    assert [(os.path.basename(error["path"]), error["kind"], error["rank"]) for error in result.errors] == [("b", "destination", 1)]
    assert result.report["files"] == 2


def test_worse_of_two_kinds(place, send):
    """Nothing succeeded, and of several kinds 4 comes before 3."""
    place.file("a", size=10)
    (place.out / "a").mkdir(parents=True)
    result = send("src/a", "src/gone", "out")
    assert result.code == DESTINATION, result
    assert {error["kind"] for error in result.errors} == {"destination", "source"}


# --- one run at a time on a target --------------------------------------------------------------------------------


def held(place, start, launch=SELF):
    """A run that holds the target until the file `go` is there."""
    place.file(size=2 * MI)
    go, reached = place / "go", place / "reached"
    job = start("send", "src/big.bin", "out", launch=launch,
                fault={"op": "write", "path": "/out/", "min": 4096, "mark": reached, "wait": go})  # fmt: skip
    until(reached.exists, what="the first write")
    return job, go


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_second_run_on_the_same_target(place, start, send, launch):
    job, go = held(place, start, launch)
    before = {name: entry for name, entry in snapshot(place.out).items() if not name.startswith(b".argosy")}
    result = send("src/big.bin", "out", launch=launch, timeout=20)
    pids = {str(process.pid) for process in job.processes()}
    after = {name: entry for name, entry in snapshot(place.out).items() if not name.startswith(b".argosy")}
    go.touch()
    assert result.code == DESTINATION, result
    assert len(result.lines) == 1, result
    assert HOST in result.lines[0] or SHORT_HOST in result.lines[0], result
    assert pids & set(re.findall(r"\d+", result.lines[0])), (pids, result)
    assert result.errors[0]["kind"] == "destination"
    assert after == before
    assert job.wait().code == 0
    assert (place.out / "big.bin").read_bytes() == data_of(2 * MI)
    assert send("src/big.bin", "out").code == 0, "the lock outlived its run"


@pytest.mark.allow_leftovers
def test_lock_of_a_killed_run_does_not_stay(place, start, send):
    import signal

    job, go = held(place, start)
    for process in job.processes():
        try:
            job.signal(signal.SIGKILL, process.pid)
        except ProcessLookupError:
            pass
    job.wait()
    job.gone()
    result = send("src/big.bin", "out")
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(2 * MI)
    assert leftovers(place.out) == [], "the next successful run clears what the killed one left"


def test_runs_into_different_folders_do_not_meet(place, start, send):
    job, go = held(place, start)
    result = send("src/big.bin", "elsewhere", timeout=20)
    go.touch()
    assert result.code == 0, result
    assert job.wait().code == 0


# --- --fsync ------------------------------------------------------------------------------------------------------


def test_fsync_comes_before_the_name(place, send):
    log = place / "log"
    result = send(place.file(size=2 * MI), place.out, "--fsync",
                  fault=[{"op": "sync", "path": str(place.root), "times": "all", "log": log},
                         {"op": "rename", "path": "/out/", "times": "all", "log": log}])  # fmt: skip
    assert result.code == 0, result
    ops = [line.split(" ", 3) for line in log.read_text().splitlines()]
    renamed = next(i for i, op in enumerate(ops) if op[1] == "rename")
    assert any(op[1] == "sync" and "/out/" in op[3] for op in ops[:renamed]), ops
    assert any(op[1] == "sync" and op[3].endswith("/out") for op in ops[renamed:]), f"the folder's entry is not durable: {ops}"


def test_without_fsync_there_is_none(place, send):
    log = place / "log"
    fault = {"op": "sync", "path": str(place.root), "times": "all", "log": log}
    assert send(place.file(size=2 * MI), place.out, fault=fault).code == 0
    assert not log.exists()


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_fsync_that_fails(place, send, launch):
    place.out.mkdir()
    (place.out / "big.bin").write_text("old")
    before = snapshot(place.out)
    result = send(place.file(size=2 * MI), place.out, "--fsync", launch=launch,
                  fault={"op": "sync", "path": "/out/.argosy", "fail": "EIO", "times": "all"})  # fmt: skip
    check_one_error(result, errno.EIO)
    assert snapshot(place.out) == before
