"""Folders of small files, which are filled under another name: killed, failing, full, in somebody's way; and --fsync."""

import errno
import os
import signal
import subprocess

import pytest
import trees
from harness import DESTINATION, MI, NETWORK, PARTIAL, data_of, leftovers, until

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]

FOLDERS, FILES = "abcdefgh", 20


@pytest.fixture
def source(place):
    """Eight folders of twenty small files."""
    tree = place.src / "tree"
    for at, folder in enumerate(FOLDERS):
        (tree / folder).mkdir(parents=True)
        for number in range(FILES):
            path = tree / folder / f"{number:02}"
            path.write_bytes(data_of(2000 + number, seed=100 * at + number))
            os.utime(path, ns=(0, 10**18 + number))
    return tree


def visible(target):
    """Paths beneath it that a user looks at."""
    for at, folders, files in os.walk(target):
        folders[:] = [name for name in folders if not name.startswith(".argosy-")]
        yield from (os.path.relpath(os.path.join(at, name), target) for name in files if not name.startswith(".argosy-"))


def visible_are_right(source, target):
    for path in visible(target):
        assert (target / path).read_bytes() == (source / path).read_bytes(), path


def stages(target):
    return list(target.glob(".argosy-*.stage"))


def folder_of(source, path):
    """Whose file this is, wherever it lies: no two are alike."""
    return next((name for name in FOLDERS if (source / name / path.name).read_bytes() == path.read_bytes()), None)


def whole_bytes(source, target):
    """What the run has written whole, wherever it lies."""
    sizes = 0
    for path in target.rglob("[0-9][0-9]"):
        folder = folder_of(source, path)
        if folder and path.stat().st_mtime_ns == (source / folder / path.name).stat().st_mtime_ns:
            sizes += path.stat().st_size
    return sizes


def hold(place, start, what, **rules):
    """A run whose rank 1 is held where the rule says; and the file that lets it go."""
    mark, go = place / "mark", place / "go"
    fault = ",".join(f"{key}={value}" for key, value in {"op": what, "rank": 1, **rules}.items())
    job = start("send", "src/tree", "out", "--chunk-size", "256Ki", env=NETWORK, fault=f"{fault},mark={mark},wait={go}")
    until(mark.exists, 30, what)
    return job, go


def kill(job):
    job.signal(signal.SIGKILL, job.rank(1).pid)
    job.wait(60)
    job.gone(20)


MOMENTS = [("write", "/out/tree/", nth) for nth in (3, 30, 75, 110)] + [("rename", ".stage", 1), ("rename", ".stage", 3)]


@pytest.mark.parametrize("what, path, nth", MOMENTS)
def test_killed(place, start, send, source, what, path, nth):
    """What was whole is not moved again, wherever it lay."""
    job, _ = hold(place, start, what, path=path, nth=nth)
    kill(job)
    target = place.out / "tree"
    visible_are_right(source, target)
    total = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    whole = whole_bytes(source, target)
    assert whole > 0 or nth < 5
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] <= total - whole, (result, whole)
    assert not trees.differences(source, target)
    assert leftovers(place.out) == []


def test_what_was_begun_and_is_no_more(place, start, send, source):
    """A file that was being written, and is not in the source any longer, never comes into view."""
    job, _ = hold(place, start, "write", path=".stage/", nth=7)
    kill(job)
    begun = [path for stage in stages(place.out / "tree") for path in stage.iterdir() if path.stat().st_size == 0]
    assert len(begun) >= 1, "a write was held: its file is there, and empty"
    folder = next(filter(None, (folder_of(source, path) for path in begun[0].parent.iterdir())))
    (source / folder / begun[0].name).unlink()
    result = send("src/tree", "out")
    assert result.code == 0 and not (place.out / "tree" / folder / begun[0].name).exists(), result
    assert not trees.differences(source, place.out / "tree")
    assert leftovers(place.out) == []


def test_clean_takes_it_away(place, start, argosy, source):
    job, _ = hold(place, start, "rename", path=".stage", nth=1)
    kill(job)
    assert leftovers(place.out) != []
    assert argosy("clean", "out").code == 0
    assert leftovers(place.out) == []
    visible_are_right(source, place.out / "tree")


def test_somebody_puts_something_into_it(place, start, source):
    job, go = hold(place, start, "write", path=".stage/", nth=1)
    empty = [folder for folder in FOLDERS if not any((place.out / "tree" / folder).iterdir())]
    assert empty, "the one whose file is held"
    for folder in empty:
        (place.out / "tree" / folder / "mine").write_text("mine")
    go.touch()
    result = job.wait()
    assert result.code == 0, result
    for folder in empty:
        assert (place.out / "tree" / folder / "mine").read_text() == "mine"
        (place.out / "tree" / folder / "mine").unlink()
    assert not trees.differences(source, place.out / "tree", folder_times=False)
    assert leftovers(place.out) == []


def test_another_run_finds_it_from_another_folder(place, start, send, source):
    """The locks of the two do not meet: what the one fills is no leftover to the other."""
    mark, go = place / "mark", place / "go"
    first = start("send", "src", "out", env=NETWORK, fault=f"op=write,rank=1,path=.stage/,nth=30,mark={mark},wait={go}")
    until(mark.exists, 30, "the write")
    second = send("src/tree", "out/src")
    go.touch()
    result = first.wait()
    assert second.code == 0 and result.code == 0, (second, result)
    assert not trees.differences(source, place.out / "src" / "tree", folder_times=False)
    assert leftovers(place.out) == []


def test_some_of_its_files_fail(place, send, source):
    result = send("src/tree", "out",
                  fault={"op": "write", "rank": 1, "path": ".stage/", "nth": 5, "times": 3, "fail": "ENOSPC"})  # fmt: skip
    assert result.code == PARTIAL and len(result.report["errors"]) == 3, result
    assert len(list(visible(place.out / "tree"))) == len(FOLDERS) * FILES - 3
    visible_are_right(source, place.out / "tree")
    assert leftovers(place.out) == []
    assert send("src/tree", "out").code == 0
    assert not trees.differences(source, place.out / "tree")


def test_a_file_system_that_renames_no_folders(place, send, source):
    result = send("src/tree", "out", fault={"op": "rename", "rank": 1, "path": ".stage", "nth": 1, "fail": "EXDEV"})
    assert result.code == 0 and not trees.differences(source, place.out / "tree"), result
    assert leftovers(place.out) == []


def test_it_can_not_be_shown(place, send, source):
    result = send("src/tree", "out", fault={"op": "rename", "rank": 1, "path": ".stage", "fail": "EIO", "times": "all"})
    assert result.code == PARTIAL and {error["errno"] for error in result.report["errors"]} == {errno.EIO}, result
    visible_are_right(source, place.out / "tree")
    seen = [(place.out / "tree" / path).stat().st_size for path in visible(place.out / "tree")]
    assert (result.report["files"], result.report["bytes"]) == (len(seen), sum(seen)), result
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    assert not trees.differences(source, place.out / "tree")
    assert leftovers(place.out) == []


# --- a full disk ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("mounts")
def test_a_disk_that_is_too_small(place, send, source):
    """How much will come is not known before: what fits arrives, the rest is told of, and the next run goes on."""
    for number in range(4):
        (source / f"large{number}").write_bytes(data_of(MI, seed=number))
        os.utime(source / f"large{number}", ns=(0, 10**18))
    place.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place.out)], check=True)
    try:
        result = send("src/tree", "out")
        assert result.code == PARTIAL, result
        for error in result.report["errors"]:
            assert error["kind"] == "destination" and error["errno"] == errno.ENOSPC, error
            assert error["rank"] == 1 and error["host"] and "/out/tree/" in error["path"], error
        visible_are_right(source, place.out / "tree")
        assert leftovers(place.out) == []
        moved = sum(os.path.getsize(place.out / "tree" / path) for path in visible(place.out / "tree"))
        subprocess.run(["mount", "-o", "remount,size=16m", str(place.out)], check=True)
        result = send("src/tree", "out")
        total = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        assert result.code == 0 and result.report["bytes_moved"] == total - moved, result
        assert not trees.differences(source, place.out / "tree")
    finally:
        subprocess.run(["umount", str(place.out)], check=True)


@pytest.mark.usefixtures("mounts")
def test_a_disk_without_room_for_anything(place, send):
    (place.src / "tree").mkdir()
    (place.src / "tree/file").write_bytes(data_of(MI))
    place.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=1", "tmpfs", str(place.out)], check=True)
    try:
        result = send("src/tree", "out")
        assert result.code == DESTINATION and result.report["errors"][0]["errno"] == errno.ENOSPC, result
        assert list(place.out.iterdir()) == []
    finally:
        subprocess.run(["umount", str(place.out)], check=True)


# --- --fsync -------------------------------------------------------------------------------------------------------


def test_fsync_once_for_many(place, send, source):
    log = place / "log"
    result = send("src/tree", "out", "--fsync",
                  fault=[{"op": "sync", "path": str(place.root), "times": "all", "log": log},
                         {"op": "rename", "path": "/out/", "times": "all", "log": log}])  # fmt: skip
    assert result.code == 0, result
    assert not trees.differences(source, place.out / "tree")
    ops = [line.split(" ", 3)[1] for line in log.read_text().splitlines()]
    assert ops.index("sync") < ops.index("rename"), ops[:10]
    assert 3 <= ops.count("sync") <= 8, f"{ops.count('sync')} for {len(FOLDERS) * FILES} files"


def test_fsync_of_a_large_file_and_its_name(place, send):
    log = place / "log"
    place.file("large", size=3 * MI)
    result = send("src/large", "out", "--fsync",
                  fault=[{"op": "sync", "rank": 1, "path": "/out", "times": "all", "log": log},
                         {"op": "rename", "rank": 1, "path": "/out/", "times": "all", "log": log},
                         {"op": "unlink", "rank": 1, "path": ".journal", "times": "all", "log": log}])  # fmt: skip
    assert result.code == 0, result
    lines = [line.split(" ", 3)[1::2] for line in log.read_text().splitlines()]
    renamed = next(at for at, (op, _) in enumerate(lines) if op == "rename")
    assert lines[renamed + 1][0] == "sync" and lines[renamed + 1][1].endswith("/out"), lines
    assert lines[renamed + 2][0] == "unlink", lines


def test_fsync_of_small_files_does_not_wait_for_a_large_one(place, start):
    """Killed while that is written: what came before it is in place."""
    small = place.src / "small"
    small.mkdir()
    for number in range(50):
        (small / f"{number:02}").write_bytes(data_of(1000 + number))
    place.file("large", size=12 * MI)
    mark = place / "mark"
    # At this rate it takes three seconds; it is held after two.
    job = start("send", "src/small", "src/large", "out", "--fsync", "--bwlimit", "4Mi", "--chunk-size", "256Ki", env=NETWORK,
                fault=f"op=write,rank=1,path=.part,min=100000,nth=32,mark={mark},wait={place / 'go'}")  # fmt: skip
    until(mark.exists, 30, "the write")
    kill(job)
    visible_are_right(small, place.out / "small")
    assert len(list(visible(place.out / "small"))) == 50


def test_fsync_that_fails(place, send, source):
    """No name is seen whose data may not be on the disk."""
    result = send("src/tree", "out", "--fsync", fault={"op": "sync", "rank": 1, "path": "/out/", "fail": "EIO", "times": "all"})
    assert result.code in (PARTIAL, DESTINATION) and errno.EIO in {error["errno"] for error in result.report["errors"]}, result
    assert list(visible(place.out / "tree")) == [] and result.report["files"] == 0, result
    assert send("src/tree", "out").code == 0
    assert not trees.differences(source, place.out / "tree")
    assert leftovers(place.out) == []
