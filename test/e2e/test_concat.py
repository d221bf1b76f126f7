"""`argosy gather --concat`: every rank's own files in one rank's folder."""

import errno
import os
import signal
import stat

import pytest
import trees
from harness import DESTINATION, KI, MI, NETWORK, PARTIAL, SELF, SHORT_HOST, SOURCE, UNDER, USAGE, data_of, goes_on, snapshot, until


def same(a, b, **options):
    found = trees.differences(a, b, **options)
    assert not found, found[:20]


@pytest.fixture
def concat(run):
    """gather --concat, every rank a node of its own or all on one."""

    def concat(*arguments, ranks=3, one_node=False, **options):
        return run("gather", "--concat", *arguments, ranks=ranks, network=not one_node, **options)

    return concat


def give(place, rank, **files):
    """src/RANK with these files; their names' first underscore is a slash."""
    folder = place.src / str(rank)
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        path = folder / name.replace("_", "/", 1)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def nasty(place):
    """src/0 to src/2, each with every type and attribute."""
    for rank in range(3):
        trees.nasty(place.src / str(rank), deep=60, many=500)
        (place.src / str(rank) / "mine").write_bytes(b"%d" % rank)
    yield place.src
    for folder in place.root.iterdir():
        trees.remove(folder)


@pytest.mark.parametrize("launch", [SELF, UNDER], ids=repr)
@pytest.mark.parametrize("one_node, receiver", [(False, 0), (True, 0), (False, 2), (True, 1)])
def test_a_folder_for_each(place, concat, nasty, one_node, receiver, launch):
    result = concat("--to", receiver, "src/%r", "out/%r", one_node=one_node, launch=launch)
    assert result.code == 0, result
    for rank in range(3):
        same(nasty / str(rank), place.out / str(rank))
    ranks = result.report["ranks"]
    assert [rank["bytes_written"] > 0 for rank in ranks] == [rank == receiver for rank in range(3)], result
    assert all(rank["bytes_read"] > 3 * MI for rank in ranks), result
    again = concat("--to", receiver, "src/%r", "out/%r", one_node=one_node, launch=launch)
    assert again.code == 0 and again.report["bytes_moved"] == 0 and again.report["files"] == result.report["files"], again
    for rank in range(3):
        same(nasty / str(rank), place.out / str(rank))


@pytest.mark.parametrize("seed", range(6))
def test_one_folder_for_all(place, concat, seed):
    ranks = 1 + seed % 4
    for rank in range(ranks):
        (place.src / str(rank)).mkdir()
        trees.random_tree(place.src / str(rank) / f"tree {rank}", 10 * seed + rank)
        give(place, rank, **{f"common_{rank}": data_of(700 * KI, rank), f"top{rank}": b"t" * rank})
    (place.src / "0" / "common").chmod(0o2711)
    os.utime(place.src / "0" / "common", ns=(0, 77))
    place.out.mkdir(mode=0o750)
    (place.out / "other").write_bytes(b"there before")
    result = concat("--to", ranks - 1, "--chunk-size", "256Ki", "src/%r", "out/", ranks=ranks, one_node=seed % 2 == 0)
    assert result.code == 0, result
    for rank in range(ranks):
        same(place.src / str(rank) / f"tree {rank}", place.out / f"tree {rank}")
        assert (place.out / "common" / str(rank)).read_bytes() == data_of(700 * KI, rank)
        assert (place.out / f"top{rank}").read_bytes() == b"t" * rank
    assert (place.out / "other").read_bytes() == b"there before"
    # A folder of several has the lowest rank's metadata; OUT itself is the user's.
    common = (place.out / "common").stat()
    assert stat.S_IMODE(common.st_mode) == 0o2711 and common.st_mtime_ns == 77
    assert stat.S_IMODE(place.out.stat().st_mode) == 0o750
    names = {f"{kind}{rank}" for rank in range(ranks) for kind in ("tree ", "top")} | {"common", "other"}
    assert set(os.listdir(place.out)) == names


def test_templates_of_the_giver(place, concat):
    for rank in range(3):
        give(place, rank, file=b"%d" % rank)
    assert concat("--to", 2, "src/%r", "out/%h %% %r/deep", one_node=True).code == 0
    for rank in range(3):
        assert (place.out / f"{SHORT_HOST} % {rank}" / "deep" / "file").read_bytes() == b"%d" % rank


@pytest.mark.parametrize("one_node", [True, False])
@pytest.mark.parametrize("pattern", ["out", "out/%h"])
def test_a_name_that_two_have(place, concat, one_node, pattern):
    """Neither is brought, what stands there stays, the others come."""
    for rank in range(4):
        give(place, rank, **{f"own{rank}": data_of(300 * KI, rank)})
    give(place, 1, both=b"one's", **{"sub_both": b"one's, too"})
    give(place, 2, both=b"two's", **{"sub_both": b"two's, too", "sub_mine": b"m"})
    os.link(place.src / "1" / "both", place.src / "1" / "another name")
    # A folder's name is the folder's.
    give(place, 0, mixed=b"a file")
    give(place, 3, mixed_file=b"in a folder")
    out = place.out if pattern == "out" else place.out / SHORT_HOST
    out.mkdir(parents=True)
    (out / "both").write_bytes(b"as it was")
    (out / "mixed").mkdir()
    for _ in range(2):
        result = concat("src/%r", pattern, ranks=4, one_node=one_node)
        assert result.code == PARTIAL, result
        told = {error["path"]: error["message"] for error in result.errors}
        shown = pattern.replace("%h", SHORT_HOST)
        assert {f"{shown}/both", f"{shown}/sub/both", f"{shown}/mixed"} <= set(told), result
        for path, low, high in (("both", 1, 2), ("sub/both", 1, 2), ("mixed", 0, 3)):
            message = told[f"{shown}/{path}"]
            assert f"rank {low} on" in message and f"rank {high} on" in message, result
        for rank in range(4):
            assert (out / f"own{rank}").read_bytes() == data_of(300 * KI, rank)
        assert (out / "both").read_bytes() == b"as it was" and os.listdir(out / "sub") == ["mine"]
        assert (out / "mixed" / "file").read_bytes() == b"in a folder"
        # Which of a file's names is met first is the folder's affair; what is brought is whole.
        assert not (out / "another name").exists() or (out / "another name").read_bytes() == b"one's"


@pytest.mark.parametrize("receiver", [0, 1])
def test_a_folder_that_several_have_is_the_lowest_ranks(place, concat, receiver):
    """Whoever is first at it: nothing of the others' stays, a default ACL least of all."""
    if not trees.has_attributes(place.root):
        pytest.skip("no attributes here")
    for rank in range(2):
        give(place, rank, **{f"d_own{rank}": b"x"})
    lowest, other = place.src / "0" / "d", place.src / "1" / "d"
    os.setxattr(other, "user.other", b"1")
    os.setxattr(other, "system.posix_acl_default", trees.AN_ACL)
    other.chmod(0o777)
    os.utime(lowest, ns=(0, 10**18))
    # The lowest comes late.
    for number in range(300):
        (place.src / "0" / f"a{number}").mkdir()
    for _ in range(5):
        assert concat("--to", receiver, "src/%r", "out", ranks=2, one_node=True).code == 0
        there = place.out / "d"
        assert os.listxattr(there) == os.listxattr(lowest), receiver
        assert stat.S_IMODE(there.stat().st_mode) == stat.S_IMODE(lowest.stat().st_mode)
        assert there.stat().st_mtime_ns == 10**18
        trees.remove(place.out)


def test_ranks_that_see_one_folder_give_it_once(place, concat):
    """Also by another name; as the lowest of them, where nothing else could tell them apart."""
    give(place, 0, file=data_of(MI))
    os.symlink("0", place.src / "1")
    os.symlink("0", place.src / "2")
    give(place, 3, other=b"o")
    result = concat("src/%r", "out/%r", ranks=4)
    assert result.code == 0 and result.report["bytes_moved"] == MI + 1, result
    assert sorted(os.listdir(place.out)) == ["0", "3"]
    result = concat("src/0", "all", ranks=4)
    assert result.code == 0 and (place / "all" / "file").read_bytes() == data_of(MI), result


@pytest.mark.parametrize("one_node", [True, False])
@pytest.mark.parametrize("missing", [[0], [1], [0, 2]])
def test_a_giver_without_a_folder(place, concat, missing, one_node):
    for rank in range(3):
        give(place, rank, **{f"f{rank}": b"x"})
    for rank in missing:
        trees.remove(place.src / str(rank))
    (place.src / "1x").write_bytes(b"")
    result = concat("src/%r", "out", one_node=one_node)
    assert result.code == PARTIAL and len(result.errors) == len(missing), result
    assert sorted(os.listdir(place.out)) == [f"f{rank}" for rank in range(3) if rank not in missing]
    for error, rank in zip(sorted(result.errors, key=lambda one: one["rank"]), missing):
        assert error["rank"] == rank and error["host"] and error["path"] == f"src/{rank}", result
        assert error["errno"] == errno.ENOENT and error["kind"] == "source", result


def test_nobody_has_a_folder(place, concat):
    place.file("0", data=b"no folder")
    before = snapshot(place.root)
    result = concat("src/%r", "out/new")
    assert result.code == SOURCE and len(result.errors) == 3, result
    assert snapshot(place.root) == before


def test_no_place_for_one(place, concat):
    """OUT is a file for one of them: its files stay, the others' come. For all of them: exit 4, nothing made."""
    for rank in range(3):
        give(place, rank, file=b"%d" % rank)
    place.out.mkdir()
    (place.out / "1").write_text("in the way")
    result = concat("src/%r", "out/%r")
    assert result.code == PARTIAL and [error["path"] for error in result.errors] == [str(place.out / "1")], result
    assert (place.out / "0/file").read_bytes() == b"0" and (place.out / "2/file").read_bytes() == b"2"
    result = concat("src/%r", "out/1/%r")
    assert result.code == DESTINATION and (place.out / "1").read_text() == "in the way", result


def test_patterns_begin_in_the_folder(place, concat):
    for rank in range(2):
        give(place, rank, **{f"keep{rank}": b"k", "tmp_x": b"t", f"sub_tmp{rank}": b"s", f"core.{rank}": b"c"})
        (place.src / str(rank) / "sub" / "tmp").mkdir()
    result = concat("--exclude", "/tmp", "--include", "core.1", "--exclude", "core.*", "src/%r", "out", ranks=2)
    assert result.code == 0, result
    assert sorted(os.listdir(place.out)) == ["core.1", "keep0", "keep1", "sub"]
    assert sorted(os.listdir(place.out / "sub")) == ["tmp", "tmp0", "tmp1"]


def test_dry_run(place, concat, argosy):
    for rank in range(2):
        give(place, rank, **{f"f{rank}": b"x", "sub_y": b"y"})
    before = snapshot(place.root)
    result = concat("--dry-run", "src/%r", "out/%r", ranks=2)
    assert result.code == 0 and snapshot(place.root) == before, result
    assert sorted(name["path"] for name in result.report["names"]) == ["out/0/f0", "out/0/sub/", "out/0/sub/y", "out/1/f1", "out/1/sub/", "out/1/sub/y"]
    assert concat("src/%r", "out/%r", ranks=2).code == 0
    (place.src / "1" / "f1").write_bytes(b"longer")
    text = argosy("gather", "--concat", "--dry-run", "src/%r", "out/%r", ranks=2).out.decode()
    assert text == "out/1/f1\n1 would change; nothing was moved\n"


@pytest.mark.parametrize("checksum", [False, True])
def test_again_after_changes(place, concat, checksum):
    for rank in range(3):
        give(place, rank, **{f"big{rank}": data_of(2 * MI, rank), f"same{rank}": b"1234"})
    assert concat("src/%r", "out").code == 0
    big = place.src / "1" / "big1"
    times = big.stat()
    with open(big, "r+b") as file:
        file.write(b"changed")
    os.utime(big, ns=(times.st_atime_ns, times.st_mtime_ns))
    result = concat(*["--checksum"] * checksum, "src/%r", "out")
    assert result.code == 0 and result.report["bytes_moved"] == (2 * MI if checksum else 0), result
    assert ((place.out / "big1").read_bytes() == big.read_bytes()) == checksum


def test_out_beneath_a_giver(place, concat):
    """Into the giver's own folder, which is not moved into itself; and the receiver's own OUT as its DIR."""
    for rank in range(2):
        give(place, rank, **{f"f{rank}": b"x"})
    result = concat("src/%r", "src/0/out", ranks=2, one_node=True)
    assert result.code == PARTIAL and "into itself" in result.errors[0]["message"], result
    assert sorted(os.listdir(place.src / "0" / "out")) == ["f0", "f1"]
    result = concat("src/%r", "src/1", ranks=2, one_node=True)
    assert (place.src / "1" / "f0").read_bytes() == b"x" and (place.src / "1" / "f1").read_bytes() == b"x", result


def test_publish(place, concat):
    for rank in range(3):
        give(place, rank, **{f"f{rank}": data_of(MI, rank), "sub_x": b"x"})
    for rank in (1, 2):
        (place.src / str(rank) / "sub" / "x").unlink()
    os.utime(place.src / "0", ns=(0, 99))
    assert concat("--publish", "src/%r", "out").code == 0
    assert sorted(os.listdir(place.out)) == ["f0", "f1", "f2", "sub"] and place.out.stat().st_mtime_ns == 99
    result = concat("--publish", "src/%r", "out")
    assert result.code in (PARTIAL, DESTINATION) and "new" in result.errors[0]["message"], result


@pytest.mark.allow_leftovers
def test_publish_shows_nothing_when_something_failed(place, concat, argosy):
    give(place, 0, file=b"f")
    result = concat("--publish", "src/%r", "out", ranks=2)
    assert result.code in (DESTINATION, SOURCE) and not place.out.exists(), result
    assert argosy("clean", ".").code == 0
    assert set(os.listdir(place.root)) == {"src"}


@pytest.mark.parametrize("ranks", [2, 20])
def test_little_memory(place, concat, ranks):
    """More givers than streams at once, and slots for few chunks."""
    for rank in range(ranks):
        give(place, rank, **{f"f{rank}": data_of(600 * KI, rank), f"s{rank}": b"s"})
    memory = "16Mi" if ranks == 20 else "4Mi"
    result = concat("--memory", memory, "--chunk-size", "256Ki", "src/%r", "out", ranks=ranks, one_node=ranks == 2, timeout=120)
    assert result.code == 0, result
    for rank in range(ranks):
        assert (place.out / f"f{rank}").read_bytes() == data_of(600 * KI, rank)


def test_wrong_usage(place, argosy):
    give(place, 0, file=b"f")
    for arguments, said in (
        (["--concat", "src/0"], "DIR and an OUT"),
        (["--concat", "src/0", "a", "b"], "DIR and an OUT"),
        (["--concat", "--range", "0:1", "src/0", "out"], "--range"),
        (["--concat", "src/%x", "out"], "%x"),
        (["--concat", "src/0", "out/%q"], "%q"),
        (["--exclude", "x", "src/0", "out"], "--concat"),
        (["--concat", "--to", "7", "src/0", "out"], "7"),
    ):
        result = argosy("gather", *arguments)
        assert result.code == USAGE and len(result.lines) == 1 and said in result.lines[0], result
    assert not place.out.exists()


@pytest.mark.parametrize("name", [b"\xff\n", b"-x", b" "])
def test_odd_folder_names(place, concat, name):
    folder = os.path.join(os.fsencode(place.src), name)
    os.mkdir(folder)
    with open(os.path.join(folder, b"file"), "wb") as file:
        file.write(b"x")
    out = os.path.join(os.fsencode(place.root), b"out", name)
    assert concat("--", folder, out, ranks=2).code == 0
    assert os.listdir(out) == [b"file"]


def test_out_is_the_folder_one_is_in(place, concat):
    give(place, 0, file=b"f")
    (place / "here").mkdir()
    assert concat(place.src / "0", ".", ranks=2, cwd=place / "here").code == 0
    assert (place / "here" / "file").read_bytes() == b"f"


@pytest.mark.parametrize("size", [100, 3 * MI])
def test_a_file_that_can_not_be_read(place, concat, fault_library, size):
    """It fails alone, and its giver is named."""
    for rank in range(3):
        give(place, rank, **{f"f{rank}": b"x", f"big{rank}": data_of(size, rank)})
    result = concat("src/%r", "out", fault={"op": "read", "rank": 1, "path": "/src/1/big1", "fail": "EIO", "times": "all"})
    assert result.code == PARTIAL and len(result.errors) == 1, result
    assert result.errors[0]["rank"] == 1 and result.errors[0]["path"] == "src/1/big1", result
    assert sorted(os.listdir(place.out)) == ["big0", "big2", "f0", "f1", "f2"]


def test_a_full_disk(place, concat, fault_library):
    for rank in range(3):
        give(place, rank, **{f"f{rank}": data_of(MI, rank), f"g{rank}": data_of(MI, rank)})
    result = concat("src/%r", "out", fault={"op": "write", "rank": 0, "path": "/out/", "nth": 8, "times": "all", "fail": "ENOSPC"})
    assert result.code in (PARTIAL, DESTINATION) and {error["errno"] for error in result.errors} == {errno.ENOSPC}, result
    for name in os.listdir(place.out) if place.out.exists() else ():
        assert (place.out / name).read_bytes() == data_of(MI, int(name[1]))


@pytest.mark.allow_leftovers
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_again(place, start, concat, how):
    """What was there before the end is whole; the next run, with other ranks, brings only the rest of it."""
    for rank in range(3):
        give(place, rank, **{f"small{rank}": b"s", f"big{rank}": data_of(6 * MI, rank)})
    job = start("gather", "--concat", "--json", "--progress", "none", "--bwlimit", "3Mi", "--chunk-size", "256Ki", "src/%r", "out",
                ranks=3, env=NETWORK)  # fmt: skip

    def written():
        folder = place.out
        return folder.exists() and sum(os.stat(folder / name).st_blocks * 512 for name in os.listdir(folder) if name.endswith(".part")) > 2 * MI

    until(written, 20, "2 MiB of parts")
    if how == signal.SIGINT:
        job.signal(how)
        assert job.wait(10).code == 130
        assert goes_on(place.out)
    else:
        os.kill(job.rank(1).pid, how)
        assert job.wait(30).code != 0
    job.gone(5)
    for name in os.listdir(place.out):
        if not name.startswith("."):
            assert (place.out / name).read_bytes() == (place.src / name[-1] / name).read_bytes()
    result = concat("src/%r", "out", ranks=3, one_node=True)
    assert result.code == 0, result
    if how == signal.SIGKILL:
        assert result.report["bytes_moved"] < 17 * MI, result
    for rank in range(3):
        assert (place.out / f"big{rank}").read_bytes() == data_of(6 * MI, rank)
    assert sorted(os.listdir(place.out)) == sorted(f"{kind}{rank}" for rank in range(3) for kind in ("big", "small"))


def test_one_run_at_a_time(place, start, concat):
    for rank in range(2):
        give(place, rank, **{f"big{rank}": data_of(6 * MI, rank)})
    job = start("gather", "--concat", "--progress", "none", "--bwlimit", "3Mi", "--chunk-size", "256Ki", "src/%r", "out", ranks=2,
                env=NETWORK)  # fmt: skip
    until(lambda: place.out.exists() and any(name.endswith(".part") for name in os.listdir(place.out)), 20, "a part")
    result = concat("src/%r", "out", ranks=2)
    assert result.code == DESTINATION and "in use" in result.errors[0]["message"], result
    job.signal(signal.SIGINT)
    assert job.wait(10).code == 130


@pytest.mark.parametrize("first", ["send", "concat"])
def test_a_tree_by_its_name_and_by_itself(place, start, send, concat, first, fault_library):
    """As the folder tree in out, and as the folder out/tree."""
    give(place, 0, big0=data_of(3 * MI))
    (place.src / "0").rename(place.src / "tree")
    words = {"send": ["send", "src/tree", "out"], "concat": ["gather", "--concat", "src/tree", "out/tree"]}[first]
    mark, go = place / "mark", place / "go"
    job = start(*words, "--progress", "none", "--chunk-size", "256Ki", ranks=2,
                fault=f"op=write,path=/out/,min=100000,nth=3,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 20, "the write")
    result = concat("src/tree", "out/tree", ranks=2, one_node=True) if first == "send" else send("src/tree", "out")
    assert result.code == DESTINATION and "in use" in result.errors[0]["message"], result
    go.touch()
    assert job.wait(20).code == 0
    assert (place.out / "tree/big0").read_bytes() == data_of(3 * MI)


def test_what_could_not_be_brought_to_the_disk_does_not_count(place, concat, fault_library):
    for rank in range(2):
        give(place, rank, **{f"f{rank}": b"1234", f"g{rank}": b"5678"})
    result = concat("--fsync", "src/%r", "out", ranks=2, fault={"op": "sync", "rank": 0, "path": "/out", "fail": "EIO", "times": "all"})
    assert result.code != 0 and {error["errno"] for error in result.errors} == {errno.EIO}, result
    assert result.report["files"] == 0 and result.report["bytes"] == 0, result
    assert os.listdir(place.out) == []


def test_an_out_that_no_run_could_have(place, concat):
    """Is refused by a run that would only list what changes, too."""
    give(place, 0, file=b"f")
    for more in ([], ["--dry-run"]):
        result = concat(*more, "src/%r", "/".join(["o" * 100] * 50), ranks=1)
        assert result.code == DESTINATION and result.errors[0]["errno"] == errno.ENAMETOOLONG, result
