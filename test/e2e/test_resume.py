"""Interrupted: the next run goes on, and trusts nothing that it finds. And --publish, and clean. (Kills at random points:
test_resume_kills.py.)"""

import contextlib
import os
import shutil
import signal

import pytest
import trees
from harness import DESTINATION, KI, MI, NETWORK, PARTIAL, data_of, goes_on, leftovers, mounted, until

pytestmark = [pytest.mark.usefixtures("fault_library"), pytest.mark.allow_leftovers]


@pytest.mark.parametrize("options", [[], ["--fsync"]])
@pytest.mark.parametrize("again", [[], ["--chunk-size", "512Ki"]])
def test_a_large_file_goes_on_where_it_was(place, start, send, options, again):
    place.file("big", size=32 * MI)
    mark, go = place / "mark", place / "go"
    job = start("send", *options, "src/big", "out", "--chunk-size", "256Ki", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=100,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    job.signal(signal.SIGKILL, job.rank(1).pid)
    job.wait(60)
    job.gone(20)
    result = send("src/big", "out", *again)
    assert result.code == 0 and (place.out / "big").read_bytes() == data_of(32 * MI), result
    written = 95 * 256 * KI
    assert result.report["bytes_moved"] <= 32 * MI - 0.95 * written, result
    assert leftovers(place.out) == []


@pytest.fixture
def interrupted(place, start):
    """A large file that is three quarters written; where its part and its journal are."""
    place.file("big", size=16 * MI)
    mark, go = place / "mark", place / "go"
    job = start("send", "src/big", "out", "--chunk-size", "256Ki", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=48,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    job.signal(signal.SIGKILL, job.rank(1).pid)
    job.wait(60)
    job.gone(20)
    names = {os.fsdecode(path).rsplit(".", 1)[1]: path for path in leftovers(place.out)}
    assert {"part", "journal"} <= set(names)
    return names


def cut(path, by):
    os.truncate(path, os.path.getsize(path) - by)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


DAMAGE = {
    "nothing": (lambda names: None, 6 * MI),
    "its last record is cut": (lambda names: cut(names["journal"], 20), 6 * MI),
    "its head is damaged": (lambda names: flip(names["journal"], 30), 16 * MI),
    "it is empty": (lambda names: os.truncate(names["journal"], 0), 16 * MI),
    "it is something else": (lambda names: open(names["journal"], "wb").write(os.urandom(5000)), 16 * MI),
    "the part is damaged": (lambda names: flip(names["part"], MI + 5), 6 * MI),
    "the part is gone": (lambda names: os.unlink(names["part"]), 16 * MI),
    "the part is shorter": (lambda names: os.truncate(names["part"], 3 * MI), 14 * MI),
    "the part is longer": (lambda names: os.truncate(names["part"], 20 * MI), 6 * MI),
    "a record is damaged": (lambda names: flip(names["journal"], -48 * 10 + os.path.getsize(names["journal"])), 9 * MI),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_journal_is_never_trusted(place, send, interrupted, damage):
    harm, most = DAMAGE[damage]
    harm(interrupted)
    result = send("src/big", "out")
    assert result.code == 0 and (place.out / "big").read_bytes() == (place.src / "big").read_bytes(), result
    assert result.report["bytes_moved"] <= most, result
    if damage == "nothing":
        assert result.report["bytes_moved"] < 6 * MI


def test_nothing_is_left_of_a_tree_with_many_folders(place, start, send):
    """More of them are looked into, between finding what was left and going on with it, than are kept open."""
    one, two = place.src / "one", place.src / "two"
    one.mkdir()
    (one / "small").write_text("small")
    for number in range(300):
        (two / f"{number}").mkdir(parents=True)
        (two / f"{number}" / "file").write_text("file")
    assert send("src/one", "src/two", "out").code == 0
    (one / "big").write_bytes(data_of(4 * MI))
    killed_at(place, start, "write", sources="src/one", path=".part", nth=8)
    assert leftovers(place.out) != []
    result = send("src/one", "src/two", "out")
    assert result.code == 0 and result.report["bytes_moved"] < 4 * MI, result
    assert leftovers(place.out) == []
    assert not trees.differences(one, place.out / "one")


def killed_at(place, start, what, *, sources="src/tree", **rules):
    """Rank 1 is killed where a rule of the fault library holds it."""
    mark, go = place / "mark", place / "go"
    fault = ",".join(f"{key}={value}" for key, value in {"op": what, "rank": 1, **rules}.items())
    job = start("send", sources, "out", "--chunk-size", "256Ki", env=NETWORK, fault=f"{fault},mark={mark},wait={go}")
    until(mark.exists, 30, what)
    job.signal(signal.SIGKILL, job.rank(1).pid)
    job.wait(60)
    job.gone(20)


@pytest.mark.parametrize("moment", ["before the journal says anything", "when the file is in place"])
def test_nothing_is_left_behind(place, start, send, moment):
    """Killed at a moment that has a leftover of its own: the next run takes it away."""
    source = place.src / "tree"
    source.mkdir()
    (source / "big").write_bytes(data_of(2 * MI))
    if moment == "before the journal says anything":
        killed_at(place, start, "write", path=".journal", nth=1)
        assert [os.path.getsize(path) for path in leftovers(place.out) if path.endswith(b".journal")] == [0]
    else:
        killed_at(place, start, "unlink", path=".journal", nth=2)
        assert (place.out / "tree" / "big").exists() and leftovers(place.out / "tree") != []
    result = send("src/tree", "out")
    assert result.code == 0 and leftovers(place.out) == [], result
    assert not trees.differences(source, place.out / "tree")


def test_holes_stay_holes(place, start, send):
    """Also those that are too small to be told of, in the middle of a file that is gone on with."""
    source = place.src / "tree"
    source.mkdir()
    with open(source / "sparse", "wb") as file:
        for leaf in range(64):
            file.seek(leaf * 256 * KI)
            file.write(data_of(64 * KI, seed=leaf))
        file.truncate(16 * MI)
    killed_at(place, start, "write", path=".part", min=60000, nth=20)
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] < 14 * MI, result
    assert not trees.differences(source, place.out / "tree")


# What another user could still write, or may have written.
PLANTED = {
    "others may write the part": lambda names: os.chmod(names["part"], 0o666),
    "the group may write the journal": lambda names: os.chmod(names["journal"], 0o620),
    "the part has another name": lambda names: os.link(names["part"], os.path.dirname(os.path.dirname(names["part"])) + b"/kept"),
    "the part is another user's": lambda names: os.chown(names["part"], 12345, 12345),
    "the journal is another user's": lambda names: os.chown(names["journal"], 12345, 12345),
    "the part is a link": lambda names: (os.rename(names["part"], names["part"] + b"2"), os.symlink(names["part"] + b"2", names["part"])),
}


@pytest.mark.parametrize("how", PLANTED)
def test_what_others_may_write_is_not_used(place, send, interrupted, how):
    if "user" in how and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    PLANTED[how](interrupted)
    result = send("src/big", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 16 * MI, result
    status = os.lstat(place.out / "big")
    assert status.st_uid == os.geteuid() and status.st_nlink == 1
    assert (place.out / "big").read_bytes() == data_of(16 * MI)


@pytest.mark.parametrize("options", [[], ["--checksum", "--read-back"]])
def test_another_source_of_that_size_and_time(place, argosy, send, interrupted, options):
    """What is the same of it is gone on with, and no other byte of the first one stays."""
    path = place.src / "big"
    time = path.stat().st_mtime_ns
    place.file("big", data=data_of(4 * MI) + data_of(12 * MI, seed=9), mtime_ns=time)
    result = send("src/big", "out", *options)
    assert result.code == 0 and (place.out / "big").read_bytes() == path.read_bytes(), result
    assert 12 * MI <= result.report["bytes_moved"] <= 13 * MI, result
    assert result.report["digest"] == argosy("digest", "src/big").out.decode().split()[0], result


def test_a_manifest_of_what_was_gone_on_with(place, argosy, send, interrupted):
    result = send("--save-manifest", "m", "src/big", "out")
    assert result.code == 0 and result.report["bytes_moved"] < 6 * MI, result
    lines = (place / "m").read_text().splitlines()
    digest = argosy("digest", "out/big").out.decode().split()[0]
    assert len(lines) == 3 and digest in lines[1] and result.report["digest"] == digest, result


STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize("number, code", STOPS)
def test_gone_on_with_after_an_interrupt(place, start, send, number, code):
    place.file("big", size=16 * MI)
    mark, go = place / "mark", place / "go"
    job = start("send", "src/big", "out", "--chunk-size", "256Ki", "--bwlimit", "4Mi", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=12,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    job.signal(number)
    go.touch()
    result = job.wait(10)
    job.gone(2)
    assert result.code == code and not (place.out / "big").exists(), result
    assert goes_on(place.out) and len(leftovers(place.out)) == 2
    result = send("src/big", "out")
    assert result.code == 0 and (place.out / "big").read_bytes() == data_of(16 * MI), result
    assert result.report["bytes_moved"] <= 16 * MI - 11 * 256 * KI and leftovers(place.out) == [], result


def test_a_node_that_has_nothing(place, start, bcast):
    """All must travel for it; the others write only what they lack."""
    place.file("big", size=32 * MI)
    mark, go = place / "mark", place / "go"
    job = start("bcast", "-n", "2", "src/big", "out/%r", "--chunk-size", "256Ki", "--memory", "8Mi", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=100,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    for pid in [job.rank(rank).pid for rank in (0, 1)]:
        with contextlib.suppress(ProcessLookupError):
            job.signal(signal.SIGKILL, pid)
    job.wait(60)
    job.gone(20)
    result = bcast("-n", "3", "src/big", "out/%r", "--chunk-size", "256Ki")
    assert result.code == 0, result
    assert [(place.out / str(rank) / "big").read_bytes() == data_of(32 * MI) for rank in range(3)] == [True] * 3
    written = [rank["bytes_written"] for rank in result.report["ranks"]]
    assert written[2] == 32 * MI and written[1] <= 32 * MI - 95 * 256 * KI and written[0] <= 16 * MI, result
    assert leftovers(place.out) == []


def test_room_for_the_rest_suffices(place, start, send, mounts):
    place.file("big", size=16 * MI)
    with mounted(place.out, "-t", "tmpfs", "-o", "size=18m", "argosy-test"):
        killed_at(place, start, "write", sources="src/big", path="/out/", min=100000, nth=40)
        result = send("src/big", "out")
        assert result.code == 0 and (place.out / "big").read_bytes() == data_of(16 * MI), result
        # What can't be used makes room: the source is another one now.
        os.unlink(place.out / "big")
        os.unlink(place / "mark")
        killed_at(place, start, "write", sources="src/big", path="/out/", min=100000, nth=40)
        place.file("big", size=16 * MI, seed=2)
        result = send("src/big", "out")
        assert result.code == 0 and (place.out / "big").read_bytes() == data_of(16 * MI, seed=2), result


def test_holes_need_no_room(place, send, mounts):
    with open(place.src / "sparse", "wb") as file:
        file.truncate(256 * MI)
    with mounted(place.out, "-t", "tmpfs", "-o", "size=18m", "argosy-test"):
        result = send("src/sparse", "out")
        assert result.code == 0 and os.stat(place.out / "sparse").st_size == 256 * MI, result
        assert os.stat(place.out / "sparse").st_blocks == 0


def test_what_is_in_place_needs_no_room(place, bcast, mounts):
    place.file("big", size=12 * MI)
    with mounted(place.out, "-t", "tmpfs", "-o", "size=18m", "argosy-test"):
        assert bcast("-n", "1", "src/big", "out").code == 0
        result = bcast("-n", "1", "src/big", "out")
        assert result.code == 0 and result.report["bytes_moved"] == 0, result


def test_another_source_of_that_name(place, send, interrupted):
    place.file("big", size=16 * MI, seed=9)
    result = send("src/big", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 16 * MI, result
    assert (place.out / "big").read_bytes() == data_of(16 * MI, seed=9)


def test_clean(place, argosy, send, interrupted):
    (place.out / "mine").write_text("mine")
    # What scatter and fetch leave.
    (place.out / ".argosy-0123456789abcdef.stripe").mkdir()
    (place.out / ".argosy-0123456789abcdef.stripe" / "share_0001").write_text("x")
    (place.out / ".argosy-0123456789abcdef.3.get").write_text("x")
    result = argosy("clean", "out")
    assert result.code == 0 and b"removed" in result.out, result
    assert leftovers(place.out) == [] and sorted(p.name for p in place.out.iterdir()) == ["mine"]
    assert argosy("clean", "none").code == DESTINATION


# --- --publish -----------------------------------------------------------------------------------------------------


def test_a_run_leaves_alone_what_another_one_writes(place, start, argosy):
    """A large file named by itself, and meanwhile a tree that replaces a small one of that name."""
    large = place.file("f", size=16 * MI)
    tree = place.src / "d"
    tree.mkdir()
    (tree / "f").write_bytes(b"new")
    (place.out / "d").mkdir(parents=True)
    (place.out / "d" / "f").write_bytes(b"older")
    mark, go = place / "mark", place / "go"
    job = start("send", "--progress", "none", "--chunk-size", "256Ki", large, "out/d",
                fault=f"op=write,rank=1,path=.part,nth=8,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 20, "the first run in the middle of its file")
    assert argosy("send", "src/d", "out").code == 0
    assert (place.out / "d" / "f").read_bytes() == b"new"
    go.touch()
    result = job.wait(30)
    assert result.code == 0, result
    assert (place.out / "d" / "f").read_bytes() == data_of(16 * MI), "the later commit stands"


def test_publish_shows_all_at_once(place, start):
    source = trees.make_source(place)
    mark, go = place / "mark", place / "go"
    job = start("send", "--publish", "src/tree", "out", env=NETWORK,
                fault=f"op=write,rank=1,path=/out/,min=100000,nth=10,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    assert not os.path.lexists(place.out / "tree")
    go.touch()
    assert job.wait().code == 0
    assert not trees.differences(source, place.out / "tree")
    assert leftovers(place.out) == []


@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS"])
def test_publish_on_a_file_system_that_promises_nothing(place, send, error):
    """NFS, for one, knows no rename that replaces nothing."""
    source = trees.make_source(place)
    result = send("--publish", "src/tree", "out",
                  fault={"op": "rename", "rank": 1, "path": ".tree", "skip": ".tree/", "fail": error})  # fmt: skip
    assert result.code == 0, result
    assert not trees.differences(source, place.out / "tree")
    assert leftovers(place.out) == []


def test_publish_is_for_what_is_new(place, send):
    trees.make_source(place)
    (place.out / "tree").mkdir(parents=True)
    result = send("--publish", "src/tree", "out")
    assert result.code == DESTINATION and "new" in result.text, result
    assert list((place.out / "tree").iterdir()) == []


def test_publish_again_moves_nothing(place, bcast):
    """What is shown and as it should be is in place, and a node that lost its folder gets it again."""
    source = trees.make_source(place)
    assert bcast("--publish", "src/tree", "out/%r", ranks=3).code == 0
    again = bcast("--publish", "src/tree", "out/%r", ranks=3)
    assert again.code == 0 and again.report["bytes_moved"] == 0, again
    shutil.rmtree(place.out / "1" / "tree")
    inodes = {entry.name: entry.inode() for entry in os.scandir(place.out / "2" / "tree")}
    result = bcast("--publish", "src/tree", "out/%r", ranks=3)
    assert result.code == 0, result
    for rank in range(3):
        assert not trees.differences(source, place.out / str(rank) / "tree")
    assert {entry.name: entry.inode() for entry in os.scandir(place.out / "2" / "tree")} == inodes
    assert leftovers(place.out) == []


@pytest.mark.parametrize("change", ["content", "less"])
def test_publish_leaves_alone_what_differs(place, send, change):
    source = trees.make_source(place)
    assert send("--publish", "src/tree", "out").code == 0
    if change == "content":
        (source / "big2").write_bytes(b"another")
    else:
        (place.out / "tree" / "big").unlink()
    before = sorted((entry.name, entry.inode()) for entry in os.scandir(place.out / "tree"))
    result = send("--publish", "src/tree", "out")
    assert result.code in (PARTIAL, DESTINATION) and "new" in result.text and len(result.errors) == 1, result
    after = sorted((entry.name, entry.inode()) for entry in os.scandir(place.out / "tree"))
    assert before == after


def test_publish_after_a_failure(place, send):
    """Nothing is shown, and the next run goes on."""
    source = trees.make_source(place)
    result = send("--publish", "src/tree", "out",
                  fault={"op": "read", "rank": 0, "path": "/tree/big2", "fail": "EIO", "times": "all"})  # fmt: skip
    assert result.code != 0 and not os.path.lexists(place.out / "tree"), result
    result = send("--publish", "src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] <= 12 * MI, result
    assert not trees.differences(source, place.out / "tree")
    assert leftovers(place.out) == []


# --- with --publish, and without ------------------------------------------------------------------------------------


def killed(place, start, *words, env=NETWORK, ranks=None, nth=40):
    """A run that dies while it writes its large files, with this much of them in place."""
    mark, go = place / f"mark{nth}", place / "go"
    job = start(*words, "--chunk-size", "256Ki", env=env, ranks=ranks,
                fault=f"op=write,rank=1,path=.part,min=100000,nth={nth},mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    job.signal(signal.SIGKILL, job.rank(0).pid)
    job.signal(signal.SIGKILL, job.pid)
    job.gone()


@pytest.fixture
def large(place):
    root = place.src / "tree"
    (root / "below").mkdir(parents=True)
    for number in range(4):
        (root / "below" / f"large{number}").write_bytes(data_of(4 * MI, number))
        (root / f"small{number}").write_bytes(b"s" * number)
    return root


def test_what_a_run_with_publish_has_left_is_gone_on_with(place, start, send, large):
    killed(place, start, "send", "--publish", "src/tree", "out")
    assert not (place.out / "tree").exists()
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] < 9 * MI, result
    assert not trees.differences(large, place.out / "tree")
    assert leftovers(place.out) == []


def test_what_a_gathering_with_publish_has_left_is_gone_on_with(place, start, argosy, large):
    killed(place, start, "gather", "--concat", "--publish", "--to", "1", "src/tree", "out", ranks=2)
    assert not place.out.exists()
    result = argosy("gather", "--concat", "--json", "--progress", "none", "src/tree", "out", ranks=2)
    assert result.code == 0 and result.report["bytes_moved"] < 9 * MI, result
    assert not trees.differences(large, place.out, folder_times=False)
    assert leftovers(place.root) == []


def test_a_folder_that_is_there_is_filled_where_it_stands(place, start, send, argosy, large):
    """What a run with --publish has left beside it stays, for `clean`."""
    killed(place, start, "send", "--publish", "src/tree", "out")
    (place.out / "tree").mkdir()
    assert send("src/tree", "out").code == 0
    assert not trees.differences(large, place.out / "tree")
    assert leftovers(place.out) != []
    assert argosy("clean", "out").code == 0 and leftovers(place.out) == []


def test_publish_after_a_run_without(place, start, send, large):
    """What stands there is shown already: nothing is written into it, and the line says what helps."""
    killed(place, start, "send", "src/tree", "out")
    before = {path: os.stat(path).st_ino for path in (place.out / "tree").rglob("*")}
    result = send("--publish", "src/tree", "out")
    assert result.code in (PARTIAL, DESTINATION) and "without --publish" in result.errors[0]["message"], result
    assert {path: os.stat(path).st_ino for path in (place.out / "tree").rglob("*")} == before
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] < 9 * MI, result
    assert not trees.differences(large, place.out / "tree")
