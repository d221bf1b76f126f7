"""`-` is standard input."""

import hashlib
import os
import subprocess
import threading

import pytest
from harness import MI, MPI, SELF, SELF_NETWORK, SOURCE, UNDER, USAGE, data_of, snapshot

WAYS = [SELF, UNDER, SELF_NETWORK]


@pytest.fixture(autouse=True)
def launchers_that_can(request):
    """Hydra 4.0.2 kills any job, `mpiexec cat` too, that gets more than its pipe holds ("process reading stdin too slowly")."""
    values = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    large = values.get("size", MI) > 1000 and request.node.originalname in ("test_piped", "test_redirected_file", "test_300_megabytes")
    if MPI == "mpich" and values.get("launch") is UNDER and large:
        pytest.skip("MPICH's mpiexec can't forward so much standard input")


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("size", [0, 1, 5, 1000, MI - 1, MI, MI + 1, 3 * MI + 7])
def test_piped(place, send, size, launch):
    data = data_of(size)
    read, write = os.pipe()
    feeder = threading.Thread(target=_feed, args=(write, data))
    feeder.start()
    try:
        result = send("-", "--as", "piped", place.out, stdin=read, launch=launch)
    finally:
        os.close(read)
        feeder.join()
    assert result.code == 0, result
    assert (place.out / "piped").read_bytes() == data
    assert result.report["bytes"] == size and result.report["bytes_moved"] == size
    assert result.report["digest"].startswith("xxh3:")


def _feed(fd, data, piece=None):
    try:
        with os.fdopen(fd, "wb", buffering=0) as pipe:
            for at in range(0, len(data), piece or len(data) or 1):
                pipe.write(data[at : at + (piece or len(data))])
    except BrokenPipeError:
        pass


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_redirected_file(place, send, launch):
    path = place.file(size=2 * MI + 1)
    with open(path, "rb") as file:
        result = send("-", "--as", "copy", place.out, stdin=file, launch=launch)
    assert result.code == 0, result
    assert (place.out / "copy").read_bytes() == data_of(2 * MI + 1)


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_300_megabytes(place, send, launch):
    path = place.file(size=MI)
    with subprocess.Popen(["sh", "-c", f"for i in $(seq 300); do cat '{path}'; echo $i; done"], stdout=subprocess.PIPE) as feed:
        result = send("-", "--as", "big", place.out, stdin=feed.stdout, launch=launch)
        feed.stdout.close()
    assert result.code == 0, result
    want, got = hashlib.sha256(), hashlib.sha256()
    for number in range(1, 301):
        want.update(data_of(MI) + b"%d\n" % number)
    with open(place.out / "big", "rb") as file:
        while block := file.read(MI):
            got.update(block)
    assert got.digest() == want.digest()
    for rank in result.report["ranks"]:
        assert rank["peak_rss"] < 128 * MI, rank


def test_many_small_writes(place, send):
    data = data_of(200_000)
    read, write = os.pipe()
    feeder = threading.Thread(target=_feed, args=(write, data, 97))
    feeder.start()
    try:
        result = send("-", "--as", "dribble", place.out, stdin=read)
    finally:
        os.close(read)
        feeder.join()
    assert result.code == 0, result
    assert (place.out / "dribble").read_bytes() == data


def test_terminal_style_device_null(place, send):
    result = send("-", "--as", "nothing", place.out)  # /dev/null
    assert result.code == 0, result
    assert (place.out / "nothing").read_bytes() == b""


def test_beside_other_files_is_refused_or_named(place, argosy, launch):
    """A single source gets --as, so standard input among several has no name."""
    place.file("a", size=1)
    assert argosy("send", "-", "src/a", "out", launch=launch).code == USAGE
    assert snapshot(place.out) is None


def test_without_a_name(place, argosy, launch):
    result = argosy("send", "-", "out", launch=launch)
    assert result.code == USAGE, result
    assert "--as" in result.text
    assert snapshot(place.out) is None


def test_list_and_data_both_from_standard_input(place, argosy):
    assert argosy("send", "--files-from", "-", "-", "--as", "x", "out", stdin=b"a\n").code == USAGE


def test_file_called_dash(place, send):
    place.file("-", data=b"dash")
    result = send("./-", "out", cwd=place.src)
    assert result.code == 0, result
    assert (place.src / "out/-").read_bytes() == b"dash"


def test_closed_standard_input_is_no_file(place, argosy):
    """Nothing else may be taken for it."""
    result = argosy(argv=["sh", "-c", f'exec "{_argosy()}" send --json --progress none - --as x out <&-'])
    assert result.code == SOURCE, result
    assert snapshot(place.out) in (None, {})


def test_closed_standard_input_does_not_matter_otherwise(place, argosy):
    place.file("a", size=MI)
    result = argosy(argv=["sh", "-c", f'exec "{_argosy()}" send src/a out <&-'])
    assert result.code == 0, result
    assert (place.out / "a").read_bytes() == data_of(MI)


def _argosy():
    import harness

    return harness.ARGOSY
