"""`argosy scatter`: who holds what, what is acknowledged, and what is left behind when it can't be done."""

import errno
import os
import signal

import pytest
from harness import DESTINATION, KI, MI, NETWORK, SOURCE, TAGS, USAGE, data_of, leftovers, mounted, snapshot, until
from stripes import dealt, folder, manifest, receipts, share

pytestmark = pytest.mark.usefixtures("fault_library")


@pytest.mark.parametrize("ranks", range(2, 9))
def test_round_robin_exactly(place, scatter, ranks):
    data = data_of(103 * KI + 77)
    result = scatter("--chunk-size", "1000", place.file(data=data), place.out, ranks=ranks)
    assert result.code == 0, result
    workers = ranks - 1
    for worker in range(workers):
        assert share(place.out, worker + 1).read_bytes() == dealt(data, 1000, worker, workers), worker
    chunks = -(-len(data) // 1000)
    assert receipts(result.report) == {w + 1: (len(range(w, chunks, workers)), 0) for w in range(workers)}, result
    told = manifest(place.out)
    assert told["dealing"] == {"rule": "round-robin", "workers": list(range(1, ranks)), "moved": 0}
    assert (told["size"], told["chunks"], told["chunk_size"], told["layout"]) == (len(data), chunks, 1000, "stripe")
    assert told["digest"] == result.report["digest"]
    assert (folder(place.out) / "digests.bin").stat().st_size == 32 * chunks


@pytest.mark.parametrize("network", [False, True])
def test_root_too_and_large_chunks(place, scatter, gather, network):
    data = data_of(5 * MI + 17)
    env = NETWORK if network else {}
    path = place.file(data=data, mode=0o640, mtime_ns=10**18 + 7)
    result = scatter("--root-too", path, place.out, ranks=3, env=env)
    assert result.code == 0, result
    assert [share(place.out, w).read_bytes() for w in range(3)] == [dealt(data, MI, w, 3) for w in range(3)]
    back = gather(place.out / "big.bin", place / "back", ranks=2, env=env)
    assert back.code == 0 and (place / "back").read_bytes() == data, back
    info = (place / "back").stat()
    assert (info.st_mode & 0o7777, info.st_mtime_ns) == (0o640, 10**18 + 7)
    assert back.report["digest"] == result.report["digest"]


def test_a_file_for_each_chunk(place, scatter):
    data = data_of(10 * KI + 1)
    result = scatter("--layout", "chunks", "--chunk-size", "1KiB", place.file(data=data), place / "w%r", ranks=4)
    assert result.code == 0, result
    for i in range(11):
        held = place / f"w{i % 3 + 1}/big.bin.argosy/chunk_{i:010}"
        assert held.read_bytes() == data[i * KI : (i + 1) * KI], i
    names = {path.name for path in folder(place / "w1").iterdir()}
    assert names == {"manifest.json", "digests.bin", *(f"chunk_{i:010}" for i in (0, 3, 6, 9))}
    assert all(manifest(place / f"w{w}") == manifest(place / "w1") for w in (2, 3))


@pytest.mark.parametrize("size", [0, 1, 2, 5])
@pytest.mark.parametrize("chunk", ["1", "3"])
def test_small_files_and_more_workers_than_chunks(place, scatter, gather, size, chunk):
    data = data_of(size, seed=3) if size > 8 else bytes(range(size))
    result = scatter("--chunk-size", chunk, "--parity", "1", place.file(data=data), place.out, ranks=6)
    assert result.code == 0, result
    back = gather(place.out / "big.bin", place / "back", ranks=2)
    assert back.code == 0 and (place / "back").read_bytes() == data, back


def test_every_acknowledgement_is_shown(place, scatter):
    result = scatter("-v", "--chunk-size", "1KiB", place.file(size=20 * KI), place.out, ranks=3)
    assert result.code == 0, result
    for i in range(20):
        assert f"chunk_{i:010}: worker {i % 2 + 1} on" in result.text, result


def test_several_files_a_list_and_standard_input(place, scatter, gather):
    paths = [place.file(f"f{i}", size=i * 100 * KI, seed=i) for i in range(3)]
    (place / "list").write_text(place.file("listed", size=77) + "\n")
    result = scatter("--files-from", place / "list", *paths, place.out, ranks=3)
    assert result.code == 0 and result.report["files"] == 4, result
    assert result.report["stripe"]["chunks"] == 3 == sum(ok for ok, _ in receipts(result.report).values()), result
    data = data_of(3 * MI + 5, seed=9)
    piped = scatter("--as", "piped", "--parity", "1", "-", place.out, ranks=4, stdin=data)
    assert piped.code == 0, piped
    share(place.out, 2, "piped").unlink()
    for name, wanted in [("f0", b""), ("f2", data_of(200 * KI, 2)), ("listed", data_of(77)), ("piped", data)]:
        back = gather(place.out / name, place / "back", ranks=2)
        assert back.code == 0 and (place / "back").read_bytes() == wanted, (name, back)


def test_one_missing_file_does_not_stop_the_others(place, scatter):
    result = scatter(place.src / "none", place.file(size=1000), place.out, ranks=2)
    assert result.code == 1 and folder(place.out).exists(), result
    assert [error["kind"] for error in result.errors] == ["source"]
    alone = scatter(place.src / "none", place / "new", ranks=2)
    assert alone.code == SOURCE and not (place / "new").exists(), alone


@pytest.mark.parametrize("arguments, ranks", [((), 1), (("--parity", "2"), 3), (("--parity", "1"), 2), (("--chunk-size", "0"), 2),
                                              (("--layout", "rows"), 2), (("--chunk-size", "1GiB"), 2)])  # fmt: skip
def test_wrong_usage(place, scatter, arguments, ranks, launch):
    result = scatter(*arguments, place.file(size=10), place.out, ranks=ranks, launch=launch)
    assert result.code == USAGE and not place.out.exists(), result
    assert len(result.lines) == 1, result


# --- failures ------------------------------------------------------------------------------------------------------


def test_a_full_disks_share_is_taken_by_the_others(place, scatter, gather):
    data = data_of(40 * 40 * KI)
    fault = {"op": "write", "rank": 2, "path": "share_0002", "nth": 4, "times": "all", "fail": "ENOSPC"}
    result = scatter("--chunk-size", "40KiB", place.file(data=data), place.out, ranks=4, fault=fault)
    assert result.code == 0, result
    told = manifest(place.out)
    (failed,) = told["failed"]
    assert (failed["worker"], failed["errno"], failed["kept"]) == (2, errno.ENOSPC, 3), told
    assert told["dealing"]["moved"] == 13 - 3
    counts = receipts(result.report)
    assert counts[2][0] == 3 and counts[2][1] >= 1 and sum(ok for ok, _ in counts.values()) == 40, counts
    back = gather(place.out / "big.bin", place / "back", ranks=2)
    assert back.code == 0 and (place / "back").read_bytes() == data, back


@pytest.mark.parametrize("layout", ["stripe", "chunks"])
def test_a_full_disk_on_one_worker(place, scatter, gather, mounts, layout):
    """No room for its share: it has nothing of it, and the others have all."""
    data = data_of(4 * MI)
    with mounted(place / "w2", "-t", "tmpfs", "-o", "size=1m", "argosy-test"):
        result = scatter("--chunk-size", "64KiB", "--layout", layout, place.file(data=data), place / "w%r", ranks=4)
        assert result.code == 0, result
        assert {path.name for path in folder(place / "w2").iterdir()} == {"manifest.json", "digests.bin"}
        counts = receipts(result.report)
        assert counts[2][0] == 0 and counts[1][0] + counts[3][0] == 64, counts
        back = gather(place / "w%r/big.bin", place / "back", ranks=3)
        assert back.code == 0 and (place / "back").read_bytes() == data, back


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_that_fewer_may_be_lost_is_said(place, argosy, quiet):
    """The file is striped (0), not as it was meant: one line says where and why, another what that means."""
    fault = {"op": "write", "rank": 2, "path": "share_0002", "nth": 2, "times": "all", "fail": "ENOSPC"}
    path = place.file(size=400 * KI)
    words = ["--progress", "none", *quiet, "--chunk-size", "10KiB", "--parity", "1", path, place.out]
    result = argosy("scatter", *words, ranks=3, fault=fault)
    assert result.code == 0, result
    told = [line for line in result.lines if "warning" in line]
    assert len(told) == 2 and told == result.lines, result
    told.sort(key=lambda line: "only" in line)
    assert "share_0002" in told[0] and "No space left" in told[0] and "rank 2 on" in told[0], result
    assert "big.bin" in told[1] and "only 0 shares may be lost, not 1" in told[1] and "rank 0 on" in told[1], result


def test_a_full_disk_on_all(place, scatter, mounts):
    with mounted(place / "full", "-t", "tmpfs", "-o", "size=1m", "argosy-test"):
        result = scatter(place.file(size=8 * MI), place / "full/deep/er", ranks=3)
        assert result.code == DESTINATION, result
        assert os.listdir(place / "full") == []
        assert {error["errno"] for error in result.errors} == {errno.ENOSPC} and len(result.errors) == 2, result


@pytest.mark.parametrize("op, path", [("write", "share_"), ("open", "share_"), ("write", "digests"), ("alloc", "digests"), ("alloc", "manifest"),
                                      ("write", "manifest"), ("close", "manifest"), ("rename", "big.bin.argosy"),
                                      ("open", "manifest")])  # fmt: skip
def test_nobody_can_and_the_old_stripe_stays(place, scatter, gather, op, path):
    old = data_of(300 * KI, seed=1)
    source = place.file(data=old)
    assert scatter("--chunk-size", "10KiB", source, place.out, ranks=3).code == 0
    before = snapshot(place.out)
    place.file(data=data_of(400 * KI, seed=2))
    fault = {"op": op, "path": path, "nth": 1, "times": "all", "fail": "EIO"}
    result = scatter("--chunk-size", "10KiB", source, place.out, ranks=3, fault=fault)
    assert result.code == DESTINATION and result.errors, result
    assert snapshot(place.out) == before
    back = gather(place.out / "big.bin", place / "back", ranks=2)
    assert back.code == 0 and (place / "back").read_bytes() == old, back


@pytest.mark.parametrize("op, path", [("close", "share_0002"), ("rename", "big.bin.argosy"), ("close", "manifest")])
def test_a_worker_that_fails_at_the_end_is_left_out(place, scatter, gather, op, path):
    data = data_of(300 * KI)
    fault = {"op": op, "rank": 2, "path": path, "nth": 1, "times": "all", "fail": "EIO"}
    result = scatter("--chunk-size", "10KiB", place.file(data=data), place / "w%r", ranks=4, fault=fault)
    assert result.code == 0, result
    assert not folder(place / "w2").exists() and leftovers(place.root) == []
    assert [one["worker"] for one in manifest(place / "w1")["failed"]] == [2]
    back = gather(place / "w%r/big.bin", place / "back", ranks=2)
    assert back.code == 0 and (place / "back").read_bytes() == data, back


def test_scattering_again_replaces_all_of_it(place, scatter, gather):
    source = place.file(data=data_of(900 * KI, seed=1))
    assert scatter("--chunk-size", "10KiB", "--layout", "chunks", source, place / "w%r", ranks=5).code == 0
    new = data_of(50 * KI, seed=2)
    place.file(data=new)
    assert scatter("--chunk-size", "20KiB", source, place / "w%r", ranks=3).code == 0
    assert {path.name for path in folder(place / "w1").iterdir()} == {"manifest.json", "digests.bin", "share_0001"}
    # w3 and w4 still have the old one's shares.
    for ranks in (2, 5):
        back = gather(place / "w%r/big.bin", place / "back", ranks=ranks)
        assert back.code == 0 and (place / "back").read_bytes() == new, back


def test_what_is_no_stripe_is_not_replaced(place, scatter):
    folder(place.out).mkdir(parents=True)
    (folder(place.out) / "precious").write_text("x")
    before = snapshot(place.out)
    result = scatter(place.file(size=1000), place.out, ranks=2)
    assert result.code == DESTINATION and "precious" in result.text, result
    assert snapshot(place.out) == before


@pytest.mark.parametrize("fault", [{"op": "read", "path": "/src/", "nth": 3, "fail": "EIO"},
                                   {"op": "read", "path": "/src/", "nth": 3, "grow": 10}])  # fmt: skip
def test_a_source_that_fails_leaves_nothing(place, scatter, fault):
    result = scatter("--chunk-size", "64KiB", place.file(size=1 * MI), place.out, ranks=3, fault=fault)
    assert result.code == SOURCE and not place.out.exists(), result


def test_bits_that_flip_on_their_way(place, scatter, gather):
    data = data_of(3 * MI)
    fault = {"op": "send", "tag": TAGS["kStripe"], "rank": 0, "min": 100 * KI, "nth": 2, "flip": -5}
    result = scatter("--chunk-size", "256KiB", place.file(data=data), place.out, ranks=3, env=NETWORK, fault=fault)
    assert result.code == 0 and sum(failed for _, failed in receipts(result.report).values()) == 1, result
    back = gather(place.out / "big.bin", place / "back", ranks=2)
    assert back.code == 0 and (place / "back").read_bytes() == data, back


def test_interrupted(place, start):
    mark = place / "mark"
    fault = {"op": "write", "path": "share_", "nth": 3, "mark": mark}
    source = place.file(size=64 * MI)
    job = start("scatter", "--chunk-size", "64KiB", "--bwlimit", "1M", source, place.out, ranks=3, fault=fault)
    until(mark.exists, what="the mark")
    job.signal(signal.SIGINT)
    result = job.wait()
    assert result.code == 130 and not folder(place.out).exists(), result


def test_one_run_at_a_time(place, start, scatter):
    mark, go = place / "mark", place / "go"
    fault = {"op": "read", "path": "/src/", "nth": 5, "mark": mark, "wait": go}
    source = place.file(size=4 * MI)
    job = start("scatter", "--chunk-size", "64KiB", source, place.out, ranks=3, fault=fault)
    until(mark.exists, what="the mark")
    second = scatter(source, place.out, ranks=3)
    assert second.code == DESTINATION and "in use by another run" in second.text, second
    go.write_text("")
    assert job.wait().code == 0 and folder(place.out).exists()
