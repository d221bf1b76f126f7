"""A source that is missing, can't be read, or changes: exit 3, one line with path, rank and host, nothing visible changed."""

import errno
import os
import socket

import pytest
from harness import HOST, MI, PARTIAL, SELF, SELF_NETWORK, SHORT_HOST, SOURCE, UNDER, data_of, snapshot

pytestmark = pytest.mark.usefixtures("fault_library")
WAYS = [SELF, UNDER, SELF_NETWORK]


def check_one_error(result, path, number=None, rank=0):
    assert result.code == SOURCE, result
    assert len(result.lines) == 1, result
    line = result.lines[0]
    assert str(path) in line or os.path.basename(str(path)) in line, result
    assert f"rank {rank}" in line and (HOST in line or SHORT_HOST in line), result
    assert len(result.errors) == 1, result
    error = result.errors[0]
    assert error["kind"] == "source" and error["rank"] == rank and error["host"] in (HOST, SHORT_HOST), result
    assert error["path"].endswith(os.path.basename(str(path))), result
    if number is not None:
        assert error["errno"] == number, result
        assert os.strerror(number) in error["message"] + line, result
    assert result.report["bytes"] == 0 and result.report["files"] == 0, result


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_missing(place, send, launch):
    result = send("src/gone.bin", "out", launch=launch)
    check_one_error(result, "gone.bin", errno.ENOENT)
    assert snapshot(place.out) is None, "DIR was made although there was nothing to put in"


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_missing_leaves_an_existing_target_alone(place, send, launch):
    place.out.mkdir()
    (place.out / "gone.bin").write_text("old")
    before = snapshot(place.out)
    check_one_error(send("src/gone.bin", "out", launch=launch), "gone.bin", errno.ENOENT)
    assert snapshot(place.out) == before


def test_path_through_a_file(place, send):
    place.file("file", size=1)
    check_one_error(send("src/file/below", "out"), "below", errno.ENOTDIR)
    result = send("src/file/", "out")
    assert result.code == SOURCE and snapshot(place.out) is None, result


def test_dangling_and_looping_links(place, send):
    (place.src / "dangling").symlink_to("nowhere")
    (place.src / "loop").symlink_to("loop")
    check_one_error(send("src/dangling", "out"), "dangling", errno.ENOENT)
    check_one_error(send("src/loop", "out"), "loop", errno.ELOOP)


def test_name_too_long(place, send):
    result = send("src/" + "x" * 300, "out")
    assert result.code == SOURCE and result.errors[0]["errno"] == errno.ENAMETOOLONG, result


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_no_regular_file(place, send, kind):
    """Opening a pipe that nobody writes to must not hang."""
    path = place.src / kind
    if kind == "fifo":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    result = send(path, "out", timeout=20)
    assert result.code == SOURCE, result
    assert snapshot(place.out) in (None, {})


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("name, number", [("EACCES", errno.EACCES), ("EIO", errno.EIO), ("EMFILE", errno.EMFILE)])
def test_open_fails(place, send, launch, name, number):
    path = place.file(size=10)
    result = send(path, "out", launch=launch, fault={"op": "open", "rank": 0, "path": "/src/big.bin", "fail": name, "times": "all"})
    check_one_error(result, path, number)
    assert snapshot(place.out) in (None, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_permission(place, send):
    path = place.file(size=10, mode=0)
    check_one_error(send(path, "out"), path, errno.EACCES)


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_read_fails(place, send, launch, nth):
    path = place.file(size=8 * MI)
    place.out.mkdir()
    result = send(path, "out", "--chunk-size", "1Mi", launch=launch,
                  fault={"op": "read", "rank": 0, "path": "/src/", "nth": nth, "times": "all", "fail": "EIO"})  # fmt: skip
    check_one_error(result, path, errno.EIO)
    assert snapshot(place.out) == {}


def test_read_fails_at_the_last_byte(place, send):
    path = place.file(size=4 * MI + 1)
    result = send(path, "out", "--chunk-size", "1Mi",
                  fault={"op": "read", "path": "/src/", "nth": 5, "times": "all", "fail": "ESTALE"})  # fmt: skip
    check_one_error(result, path, errno.ESTALE)


CHANGES = {
    "shrinks": {"truncate": 5 * MI},
    "is emptied": {"truncate": 0},
    "grows": {"grow": 10},
    "is touched": {"touch": 1},
    "changes its mode": {"chmod": "0600"},
}


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_while_it_is_read(place, send, launch, change):
    path = place.file(size=8 * MI, mtime_ns=10**18)
    place.out.mkdir()
    (place.out / "big.bin").write_text("old")
    before = snapshot(place.out)
    result = send(path, "out", "--chunk-size", "1Mi", launch=launch,
                  fault={"op": "read", "rank": 0, "path": "/src/", "nth": 2, **CHANGES[change]})  # fmt: skip
    check_one_error(result, path)
    assert "chang" in result.lines[0] or "shr" in result.lines[0] or "short" in result.lines[0], result
    assert snapshot(place.out) == before


def test_same_size_other_bytes_same_mtime(place, send):
    """Only the ctime tells."""
    path = place.file(size=4 * MI, mtime_ns=10**18)
    fault = {"op": "read", "rank": 0, "path": "/src/", "nth": 2, "chmod": "0644"}
    os.chmod(path, 0o600)
    check_one_error(send(path, "out", "--chunk-size", "1Mi", fault=fault), path)


def test_a_change_before_the_run_does_not_matter(place, send):
    path = place.file(size=MI)
    os.utime(path)
    assert send(path, "out").code == 0


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("bad", ["missing", "unreadable", "changing"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_bad_of_three(place, send, launch, bad, at):
    """The others arrive; exit 1; the report lists the bad one."""
    names = ["a", "b", "c"]
    for name in names:
        place.file(name, size=2 * MI + 1, seed=ord(name))
    wrong = names[at]
    fault = ()
    if bad == "missing":
        os.unlink(place.src / wrong)
    elif bad == "unreadable":
        fault = {"op": "read", "path": f"/src/{wrong}", "nth": 2, "times": "all", "fail": "EIO"}
    else:
        fault = {"op": "read", "path": f"/src/{wrong}", "nth": 2, "grow": 1}
    result = send("src/a", "src/b", "src/c", "out", "--chunk-size", "1Mi", launch=launch, fault=fault)
    assert result.code == PARTIAL, result
    assert sorted(os.listdir(place.out)) == [name for name in names if name != wrong]
    for name in os.listdir(place.out):
        assert (place.out / name).read_bytes() == data_of(2 * MI + 1, seed=ord(name))
    assert [(os.path.basename(error["path"]), error["kind"]) for error in result.errors] == [(wrong, "source")]
    assert result.report["files"] == 2 and result.report["bytes"] == 2 * (2 * MI + 1)
    assert len(result.lines) == 1 and wrong in result.lines[0], result


def test_all_of_three_are_bad(place, send, launch):
    result = send("src/a", "src/b", "src/c", "out", launch=launch)
    assert result.code == SOURCE, result
    assert [os.path.basename(error["path"]) for error in result.errors] == ["a", "b", "c"]
    assert snapshot(place.out) is None


def test_bad_small_file_among_many_in_one_chunk(place, send):
    for number in range(50):
        place.file(f"{number:02}", size=1000 + number, seed=number)
    fault = {"op": "read", "path": "/src/25", "times": "all", "fail": "EIO"}
    result = send(*(place.src / f"{number:02}" for number in range(50)), "out", fault=fault)
    assert result.code == PARTIAL, result
    assert sorted(os.listdir(place.out)) == [f"{number:02}" for number in range(50) if number != 25]
    assert (place.out / "26").read_bytes() == data_of(1026, seed=26)


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_standard_input_fails(place, send, launch):
    """A folder as standard input can be opened but not read."""
    fd = os.open(place.src, os.O_RDONLY)
    try:
        result = send("-", "--as", "x", "out", stdin=fd, launch=launch)
    finally:
        os.close(fd)
    if launch is UNDER:
        assert result.code in (0, SOURCE), result  # there the launcher reads it, and may tell nobody
    else:
        assert result.code == SOURCE, result
        assert not os.path.exists(place.out / "x")
