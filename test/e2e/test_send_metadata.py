"""Mode and times are kept; an existing file is replaced whole or not at all."""

import os
import stat

import pytest
from harness import DESTINATION, MI, SELF_NETWORK, SOURCE, data_of, snapshot


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o400, 0o777, 0o640, 0o000, 0o111])
def test_mode(place, send, mode):
    if os.geteuid() != 0 and not mode & 0o400:
        pytest.skip("only root reads a file without read permission")
    result = send(place.file(size=10, mode=mode), place.out)
    assert result.code == 0, result
    assert stat.S_IMODE(os.stat(place.out / "big.bin").st_mode) == mode


def test_mode_whatever_the_umask(place, send):
    path = place.file(size=10, mode=0o666)
    result = send(path, place.out, preexec_fn=lambda: os.umask(0o077))
    assert result.code == 0, result
    assert stat.S_IMODE(os.stat(place.out / "big.bin").st_mode) == 0o666


@pytest.mark.parametrize(
    "nanoseconds",
    [0, 1, 1_234_567_890_123_456_789, 999_999_999, -1_500_000_000, -1, 2**33 * 10**9 + 7, 4_000_000_000_000_000_001],
)
@pytest.mark.parametrize("size", [0, 2 * MI])
def test_mtime(place, send, nanoseconds, size):
    path = place.file(size=size, mtime_ns=nanoseconds)
    kept = os.stat(path).st_mtime_ns  # what this file system makes of it
    result = send(path, place.out, launch=SELF_NETWORK)
    assert result.code == 0, result
    assert os.stat(place.out / "big.bin").st_mtime_ns == kept


def test_metadata_of_several(place, send):
    for number in range(5):
        place.file(str(number), size=number, mode=0o600 + number, mtime_ns=number * 10**18 + number)
    result = send(*(place.src / str(number) for number in range(5)), place.out)
    assert result.code == 0, result
    for number in range(5):
        info = os.stat(place.out / str(number))
        assert stat.S_IMODE(info.st_mode) == 0o600 + number and info.st_mtime_ns == number * 10**18 + number


def test_the_source_is_left_alone(place, send):
    place.file(size=MI, mode=0o640, mtime_ns=10**18 + 1)
    before = snapshot(place.src)
    assert send("src/big.bin", "out").code == 0
    assert snapshot(place.src) == before


@pytest.mark.parametrize("mode", [0o644, 0o444, 0o000])
def test_existing_file_is_replaced_not_rewritten(place, send, mode):
    """A second name of the old file still shows the old bytes."""
    path = place.file(size=2 * MI)
    place.out.mkdir()
    (place.out / "big.bin").write_text("old")
    os.chmod(place.out / "big.bin", mode)
    os.link(place.out / "big.bin", place / "second name")
    result = send(path, place.out)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(2 * MI)
    assert os.stat(place.out / "big.bin").st_mode == os.stat(path).st_mode
    os.chmod(place / "second name", 0o644)
    assert (place / "second name").read_text() == "old"


@pytest.mark.parametrize("size", [0, 1, MI])
def test_an_existing_file_that_is_longer(place, send, size):
    place.out.mkdir()
    (place.out / "big.bin").write_bytes(data_of(3 * MI, seed=9))
    result = send(place.file(size=size), place.out)
    assert result.code == 0, result
    assert (place.out / "big.bin").read_bytes() == data_of(size)


def test_sending_twice(place, send):
    path = place.file(size=MI)
    assert send(path, place.out).code == 0
    assert send(path, place.out).code == 0
    assert (place.out / "big.bin").read_bytes() == data_of(MI)


FAILURES = {
    "source fails": ({"op": "read", "path": "/src/", "nth": 2, "fail": "EIO"}, SOURCE),
    "destination fails": ({"op": "write", "path": "/out/", "min": 4096, "nth": 2, "fail": "EIO"}, DESTINATION),
    "rename fails": ({"op": "rename", "path": "/out/big.bin", "fail": "EIO"}, DESTINATION),
    "mode can't be set": ({"op": "chmod", "path": "/out/", "fail": "EIO", "times": "all"}, DESTINATION),
    "times can't be set": ({"op": "utime", "path": "/out/", "fail": "EIO", "times": "all"}, DESTINATION),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("launch", [None, SELF_NETWORK], ids=str)
def test_existing_file_survives_a_failure(place, send, failure, launch):
    fault, code = FAILURES[failure]
    path = place.file(size=3 * MI)
    place.out.mkdir()
    (place.out / "big.bin").write_text("old")
    (place.out / "neighbour").write_text("too")
    before = snapshot(place.out)
    result = send(path, place.out, fault=fault, **({"launch": launch} if launch else {}))
    assert result.code == code, result
    assert snapshot(place.out) == before


def test_close_that_fails(place, send):
    """A file system may report a failed write only there."""
    path = place.file(size=2 * MI)
    result = send(path, place.out, fault={"op": "close", "rank": 1, "path": "/out/.argosy", "fail": "EIO", "times": "all"})
    assert result.code == DESTINATION, result
    assert not os.path.exists(place.out / "big.bin")
