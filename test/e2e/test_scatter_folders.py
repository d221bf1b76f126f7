"""Folders through `argosy scatter` and `gather`: as they are, striped, and back again."""

import json
import os

import pytest
import trees
from harness import DESTINATION, INTEGRITY, KI, NETWORK, PARTIAL, SOURCE, UNDER, USAGE, data_of, snapshot
from stripes import folder, lose, manifest, sign


def same(a, b, **options):
    found = trees.differences(a, b, **options)
    assert not found, found[:20]


@pytest.fixture
def nasty(place):
    trees.nasty(place.src / "nasty", deep=60, many=1500)
    yield place.src / "nasty"
    for one in place.root.iterdir():
        trees.remove(one)


@pytest.mark.parametrize("one_node, layout, launch", [(True, "stripe", None), (False, "chunks", None), (False, "stripe", UNDER)])
def test_there_and_back(place, run, nasty, one_node, layout, launch):
    options = {"env": {} if one_node else NETWORK, **({"launch": launch} if launch else {})}
    result = run("scatter", "--parity", 1, "--layout", layout, "--chunk-size", "256Ki", nasty, "w%r", ranks=5, **options)
    assert result.code == 0 and result.report["files"] == 1, result
    assert manifest(place / "w1", "nasty")["kind"] == "folder"
    # Holes cost next to nothing.
    assert manifest(place / "w1", "nasty")["size"] < 8 << 20
    lose(place / "w2")
    result = run("gather", "--to", 1, "w%r/nasty", "back/again", ranks=3, **options)
    assert result.code == 0 and result.report["folders"] > 60 and result.report["files"] > 1500, result
    same(nasty, place / "back/again")
    assert os.listdir(place / "back") == ["again"]


@pytest.mark.parametrize("seed", range(4))
def test_random_trees(place, run, seed):
    trees.random_tree(place.src / "tree", 100 + seed)
    options = ["--chunk-size", ["7KiB", "1KiB", "256Ki", "1Mi"][seed], "--parity", seed % 3, *["--root-too"] * (seed % 2)]
    assert run("scatter", *options, "src/tree", "w%r", ranks=4 + seed % 2, env=NETWORK if seed % 2 else {}).code == 0
    if seed % 3:
        lose(place / "w2")
    assert run("gather", "w%r/tree", "back", ranks=2).code == 0
    same(place.src / "tree", place / "back")


def test_files_and_folders_together(place, run):
    trees.random_tree(place.src / "tree", 1)
    (place.src / "empty").mkdir()
    path = place.file("file", data=data_of(3000))
    result = run("scatter", "src/tree", path, "src/empty", "w%r", ranks=3)
    assert result.code == 0 and result.report["files"] == 3, result
    for name in ("tree", "file", "empty"):
        assert run("gather", f"w%r/{name}", f"back/{name}", ranks=3).code == 0
    same(place.src / "tree", place / "back/tree")
    same(place.src / "empty", place / "back/empty")
    assert (place / "back/file").read_bytes() == data_of(3000)


def test_as_another_name_and_selected(place, run):
    for name in ("keep", "leave.tmp", "sub/keep", "sub/leave.tmp"):
        (place.src / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (place.src / "tree" / name).write_bytes(b"x")
    assert run("scatter", "--exclude", "*.tmp", "--as", "other", "src/tree/", "w%r", ranks=3).code == 0
    result = run("gather", "w%r/other", "back", ranks=3)
    assert result.code == 0 and result.report["files"] == 2, result
    assert sorted(os.listdir(place / "back")) == ["keep", "sub"] and os.listdir(place / "back/sub") == ["keep"]


def test_into_a_folder_that_is_there(place, run):
    """It is added to; a file in the way is left alone, and nothing is gathered."""
    trees.random_tree(place.src / "tree", 2)
    assert run("scatter", "src/tree", "w%r", ranks=3).code == 0
    (place / "back").mkdir()
    (place / "back/mine").write_bytes(b"m")
    assert run("gather", "w%r/tree", "back", ranks=3).code == 0
    assert (place / "back/mine").read_bytes() == b"m"
    (place / "back/mine").unlink()
    same(place.src / "tree", place / "back", folder_times=False)
    (place / "file").write_bytes(b"f")
    result = run("gather", "w%r/tree", "file", ranks=3)
    assert result.code == DESTINATION and (place / "file").read_bytes() == b"f", result


def test_repair_and_verify(place, run):
    trees.random_tree(place.src / "tree", 3)
    assert run("scatter", "--parity", 1, "--chunk-size", "64Ki", "src/tree", "w%r", ranks=5).code == 0
    lose(place / "w3")
    assert run("verify", "--stripes", "w%r/tree", ranks=5).code == PARTIAL
    assert run("repair", "w%r/tree", ranks=5).code == 0
    assert run("verify", "--stripes", "w%r/tree", ranks=5).code == 0
    lose(place / "w1")
    assert run("gather", "w%r/tree", "back", ranks=5).code == 0
    same(place.src / "tree", place / "back")


def test_too_much_lost(place, run):
    trees.random_tree(place.src / "tree", 4)
    assert run("scatter", "--chunk-size", "64Ki", "src/tree", "w%r", ranks=4).code == 0
    lose(place / "w2")
    result = run("gather", "w%r/tree", "back/new", ranks=4)
    assert result.code == INTEGRITY and not (place / "back").exists(), result


def test_a_range_of_a_folder(place, run):
    (place.src / "tree").mkdir()
    assert run("scatter", "src/tree", "w%r", ranks=3).code == 0
    result = run("gather", "--range", "0:10", "w%r/tree", "back", ranks=3)
    assert result.code == USAGE and "folder" in result.errors[0]["message"] and not (place / "back").exists(), result


def test_a_file_that_can_not_be_read(place, run, fault_library):
    """It fails alone; what is brought back lacks it, and nothing else."""
    for name in ("a", "b", "c"):
        (place.src / "tree").mkdir(exist_ok=True)
        (place.src / "tree" / name).write_bytes(data_of(600 * KI))
    result = run("scatter", "src/tree", "w%r", ranks=3,
                 fault={"op": "read", "rank": 0, "path": "/tree/b", "fail": "EIO", "times": "all"})  # fmt: skip
    assert result.code == PARTIAL and [error["path"] for error in result.errors] == ["src/tree/b"], result
    assert run("gather", "w%r/tree", "back", ranks=3).code == 0
    assert sorted(os.listdir(place / "back")) == ["a", "c"]


def test_a_missing_folder(place, run):
    result = run("scatter", "src/none", "w%r", ranks=3)
    assert result.code == SOURCE, result


def claims_to_be_a_folder(directory, name):
    """The stripe's manifest says so, with a right checksum."""
    path = folder(directory, name) / "manifest.json"
    document = json.loads(path.read_text())
    document["kind"] = "folder"
    sign(path, document)


def test_hostile_content(place, run):
    """A stripe whose content is no folder, although it says so: exit 5, and nothing is there."""
    place.file("evil", data=b"ARGT\1\0\0\0" + data_of(3000))
    assert run("scatter", "src/evil", "w%r", ranks=3).code == 0
    for worker in (1, 2):
        claims_to_be_a_folder(place / f"w{worker}", "evil")
    before = snapshot(place.root)
    result = run("gather", "w%r/evil", "back/new", ranks=3)
    assert result.code == INTEGRITY and len(result.errors) == 1 and "no folder" in result.errors[0]["message"], result
    assert snapshot(place.root) == before


def test_owners_and_times_left(place, run):
    (place.src / "tree").mkdir()
    (place.src / "tree/file").write_bytes(b"x")
    os.chmod(place.src / "tree/file", 0o600)
    os.utime(place.src / "tree/file", ns=(0, 1))
    assert run("scatter", "src/tree", "w%r", ranks=3).code == 0
    assert run("gather", "--no-mode", "--no-times", "w%r/tree", "back", ranks=3).code == 0
    info = (place / "back/file").stat()
    assert info.st_mode & 0o777 == 0o644 and info.st_mtime_ns > 1


@pytest.mark.parametrize("op, path", [("close", "share_0002"), ("rename", "tree.argosy"), ("write", "share_")])
def test_a_worker_that_fails_is_left_out(place, run, fault_library, op, path):
    """At the end too: the folder is then read again from its beginning."""
    trees.random_tree(place.src / "tree", 6)
    fault = {"op": op, "rank": 2, "path": path, "nth": 1, "times": "all", "fail": "EIO"}
    result = run("scatter", "--chunk-size", "64Ki", "src/tree", "w%r", ranks=4, fault=fault)
    assert result.code == 0, result
    assert [one["worker"] for one in manifest(place / "w1", "tree")["failed"]] == [2]
    assert run("gather", "w%r/tree", "back", ranks=4).code == 0
    same(place.src / "tree", place / "back")


@pytest.mark.parametrize("path", ["/#", ".tree/"])
def test_a_full_disk_where_it_is_gathered(place, run, fault_library, path):
    """While the bytes come, or while the folder is made of them: what is there is whole, and so is the next run's."""
    trees.random_tree(place.src / "tree", 7)
    assert run("scatter", "--chunk-size", "64Ki", "src/tree", "w%r", ranks=3).code == 0
    result = run("gather", "w%r/tree", "back", ranks=3,
                 fault={"op": "write", "rank": 0, "path": path, "nth": 3, "times": 1, "fail": "ENOSPC"})  # fmt: skip
    assert result.code in (PARTIAL, DESTINATION), result
    assert run("gather", "w%r/tree", "back", ranks=3).code == 0
    same(place.src / "tree", place / "back")
