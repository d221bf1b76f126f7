"""Whole folders through send and bcast: exact, alone in failing, again."""

import errno
import os
import resource
import stat

import pytest
import trees
from harness import DESTINATION, KI, MI, NETWORK, PARTIAL, SELF, SELF_NETWORK, SOURCE, UNDER, USAGE, data_of, snapshot, until

WAYS = [SELF, UNDER, SELF_NETWORK]


def same(a, b, **options):
    found = trees.differences(a, b, **options)
    assert not found, found[:20]


@pytest.fixture
def nasty(place):
    """src/nasty; its closed folders are opened again at the end."""
    trees.nasty(place.src / "nasty", deep=300, many=2000)
    yield place.src / "nasty"
    for folder in place.root.iterdir():
        trees.remove(folder)


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_send(place, send, nasty, launch):
    result = send("src/nasty", "out", launch=launch)
    assert result.code == 0, result
    same(nasty, place.out / "nasty")
    assert result.report["folders"] > 300 and result.report["files"] > 2000, result


def test_many_in_one_folder(place, send):
    """10,000 names in one folder, and paths several times as long as the kernel takes."""
    trees.nasty(place.src / "nasty", deep=300, many=10_000)
    try:
        result = send("src/nasty", "out")
        assert result.code == 0 and result.report["files"] > 10_000, result
        same(place.src / "nasty", place.out / "nasty")
    finally:
        for folder in place.root.iterdir():
            trees.remove(folder)


@pytest.mark.parametrize("ranks, one_node, route", [(3, False, "chain"), (4, False, "two-tree"), (3, True, "chain")])
def test_bcast(place, bcast, nasty, ranks, one_node, route):
    result = bcast("src/nasty", "out/%r", "--route", route, ranks=ranks, one_node=one_node)
    assert result.code == 0, result
    for rank in range(ranks):
        same(nasty, place.out / str(rank) / "nasty")


def test_bcast_of_a_shared_source(place, bcast, nasty):
    result = bcast("src/nasty", "out/%r", "--source", "shared", "--route", "ring", ranks=3)
    assert result.code == 0, result
    for rank in range(3):
        same(nasty, place.out / str(rank) / "nasty")


@pytest.mark.parametrize("seed", range(12))
def test_random_trees(place, send, bcast, seed):
    trees.random_tree(place.src / "tree", seed)
    options = ["--chunk-size", ["256Ki", "1Mi", "512Ki"][seed % 3]]
    if seed % 2:
        assert send("src/tree", "out", *options, launch=WAYS[seed % 3]).code == 0
        same(place.src / "tree", place.out / "tree")
    else:
        assert bcast("src/tree", "out/%r", *options, ranks=2 + seed % 3, one_node=seed % 4 == 0).code == 0
        for rank in range(2 + seed % 3):
            same(place.src / "tree", place.out / str(rank) / "tree")


@pytest.mark.parametrize("command", ["send", "bcast"])
def test_again_moves_nothing(place, argosy, nasty, command):
    for expected in (True, False):
        result = argosy(command, "--json", "src/nasty", "out", env=NETWORK)
        assert result.code == 0 and (result.report["bytes_moved"] > 0) == expected, result
    same(nasty, place.out / "nasty")


def test_again_after_changes(place, send):
    trees.random_tree(place.src / "tree", 5)
    assert send("src/tree", "out").code == 0
    (place.src / "tree" / "new").write_bytes(data_of(100))
    path = next(p for p in sorted((place.src / "tree").iterdir()) if p.is_file() and not p.is_symlink() and p.stat().st_nlink == 1)
    path.chmod(0o644)
    path.write_bytes(data_of(777))
    os.symlink("new", place.src / "tree" / "new link")
    (place.src / "tree" / "new folder").mkdir()
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 877, result
    same(place.src / "tree", place.out / "tree")


def test_only_metadata_has_changed(place, send):
    folder = place.src / "tree"
    folder.mkdir()
    (folder / "file").write_bytes(data_of(100))
    assert send("src/tree", "out").code == 0
    inode = os.stat(place.out / "tree" / "file").st_ino
    (folder / "file").chmod(0o4711)
    if trees.has_attributes(place.root):
        os.setxattr(folder / "file", "user.new", b"v")
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    same(folder, place.out / "tree")
    assert os.stat(place.out / "tree" / "file").st_ino == inode


def test_checksum(place, send):
    """Size and time agree, the bytes do not."""
    folder = place.src / "tree"
    folder.mkdir()
    (folder / "file").write_bytes(b"right")
    assert send("src/tree", "out").code == 0
    when = os.stat(folder / "file").st_mtime_ns
    (place.out / "tree" / "file").write_bytes(b"wrong")
    os.utime(place.out / "tree" / "file", ns=(when, when))
    assert send("src/tree", "out").report["bytes_moved"] == 0
    result = send("--checksum", "src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 5, result
    same(folder, place.out / "tree")
    assert send("--checksum", "src/tree", "out").report["bytes_moved"] == 0


@pytest.mark.parametrize("source", ["src/tree", "src/tree/", "src/../src/tree//"])
def test_a_trailing_slash_changes_nothing(place, send, source):
    trees.random_tree(place.src / "tree", 1, files=10)
    assert send(source, "out").code == 0
    same(place.src / "tree", place.out / "tree")


def test_as(place, send):
    trees.random_tree(place.src / "tree", 1, files=10)
    assert send("--as", "other", "src/tree", "out").code == 0
    same(place.src / "tree", place.out / "other")


def test_what_is_there_stays(place, send):
    trees.random_tree(place.src / "tree", 1, files=10)
    (place.out / "tree" / "mine").mkdir(parents=True)
    (place.out / "tree" / "mine" / "file").write_text("mine")
    assert send("src/tree", "out").code == 0
    same(place.src / "tree", place.out / "tree", ignore=(b"mine",))
    assert (place.out / "tree" / "mine" / "file").read_text() == "mine"


def test_several_sources(place, send):
    for seed, name in enumerate("abc"):
        trees.random_tree(place.src / name, seed, files=10)
    place.file("single", size=2 * MI)
    assert send("src/a", "src/single", "src/b", "src/c", "out").code == 0
    for name in "abc":
        same(place.src / name, place.out / name)
    assert (place.out / "single").read_bytes() == (place.src / "single").read_bytes()


def descriptors(soft, hard):
    """A Popen option that runs it with so many."""
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))}


@pytest.mark.parametrize("soft, hard", [(400, 400), (64, 4096)])
def test_many_folders_and_few_descriptors(place, send, soft, hard):
    names = [f"tree{number}" for number in range(6)]
    for name in names:
        for number in range(100):
            (place.src / name / f"{number}").mkdir(parents=True)
            (place.src / name / f"{number}" / "file").write_text(name)
    result = send(*[f"src/{name}" for name in names], "out", **descriptors(soft, hard))
    assert result.code == 0, result
    for name in names:
        same(place.src / name, place.out / name)


def test_an_empty_folder(place, send):
    (place.src / "empty").mkdir()
    os.utime(place.src / "empty", ns=(0, 12345))
    result = send("src/empty", "out")
    assert result.code == 0 and result.report["folders"] == 1 and result.report["files"] == 0, result
    same(place.src / "empty", place.out / "empty")


def test_a_link_to_a_folder_is_the_folder(place, send):
    trees.random_tree(place.src / "tree", 1, files=10)
    (place.src / "link").symlink_to("tree")
    assert send("src/link", "out").code == 0
    assert not (place.out / "link").is_symlink()
    same(place.src / "tree", place.out / "link")


def test_types_in_each_others_way(place, send):
    """A folder is never replaced by a file, nor a file by a folder; the rest arrives."""
    tree = place.src / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "below").write_text("below")
    (tree / "file").write_text("file")
    (tree / "link").symlink_to("file")
    (tree / "fine").write_text("fine")
    (place.out / "tree" / "file").mkdir(parents=True)
    (place.out / "tree" / "link").mkdir()
    (place.out / "tree" / "folder").write_text("in the way")
    result = send("src/tree", "out")
    assert result.code == PARTIAL and result.report["errors_total"] == 3, result
    assert "with 1 entry in it" in result.text, result
    assert (place.out / "tree" / "fine").read_text() == "fine"
    assert (place.out / "tree" / "folder").read_text() == "in the way"
    assert (place.out / "tree" / "file").is_dir() and (place.out / "tree" / "link").is_dir()


def test_a_link_in_the_way_is_not_followed(place, send):
    tree = place.src / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "file").write_text("secret")
    outside = place / "outside"
    outside.mkdir()
    (place.out / "tree").mkdir(parents=True)
    (place.out / "tree" / "folder").symlink_to(outside)
    result = send("src/tree", "out")
    assert result.code != 0, result
    assert list(outside.iterdir()) == [], "written through a symbolic link"
    assert (place.out / "tree" / "folder").is_symlink()


def test_into_itself(place, send):
    trees.random_tree(place.src / "tree", 3, files=20)
    result = send("src/tree", "src/tree/below")
    assert result.code == PARTIAL and "into itself" in result.text, result
    assert not os.path.lexists(place.src / "tree" / "below" / "tree" / "below")


def test_onto_itself(place, send):
    trees.random_tree(place.src / "tree", 3, files=20)
    before = snapshot(place.src)
    assert send("src/tree", "src").code == 0
    assert snapshot(place.src) == before


@pytest.mark.usefixtures("fault_library")
@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_a_file_that_can_not_be_read_fails_alone(place, send, launch):
    trees.random_tree(place.src / "tree", 3)
    (place.src / "tree" / "broken").write_bytes(data_of(100 * KI))
    os.utime(place.src / "tree", ns=(0, 77))
    result = send("src/tree", "out", launch=launch,
                  fault={"op": "read", "rank": 0, "path": "/tree/broken", "fail": "EIO", "times": "all"})  # fmt: skip
    assert result.code == PARTIAL and result.report["errors_total"] == 1, result
    assert result.errors[0]["path"].endswith("tree/broken") and result.errors[0]["errno"] == errno.EIO, result
    same(place.src / "tree", place.out / "tree", ignore=(b"broken",))


@pytest.mark.usefixtures("fault_library")
def test_a_file_that_vanishes_fails_alone(place, send):
    trees.random_tree(place.src / "tree", 3)
    (place.src / "tree" / "gone").write_bytes(data_of(10))
    os.utime(place.src / "tree", ns=(0, 77))
    result = send("src/tree", "out",
                  fault={"op": "open", "rank": 0, "path": "/tree/gone", "fail": "ENOENT", "times": "all"})  # fmt: skip
    assert result.code == PARTIAL and result.errors[0]["errno"] == errno.ENOENT, result
    same(place.src / "tree", place.out / "tree", ignore=(b"gone",))


@pytest.mark.usefixtures("fault_library")
def test_a_full_disk(place, send):
    """Some files fit, others don't: each visible one is right."""
    tree = place.src / "tree"
    tree.mkdir()
    for number in range(50):
        (tree / f"{number:02}").write_bytes(data_of(2000, seed=number))
    result = send("src/tree", "out",
                  fault={"op": "write", "rank": 1, "path": "/out/", "nth": 20, "times": 10, "fail": "ENOSPC"})  # fmt: skip
    assert result.code == PARTIAL, result
    there = {path.name: path.read_bytes() for path in (place.out / "tree").iterdir()}
    assert 35 <= len(there) < 50, result
    assert all(data == data_of(2000, seed=int(name)) for name, data in there.items())


def test_another_run_on_the_same_tree(place, start, send):
    trees.random_tree(place.src / "tree", 3)
    mark, go = place / "mark", place / "go"
    first = start("send", "src/tree", "out",
                  fault=f"op=write,rank=1,path=/out/,nth=3,mark={mark},wait={go}")  # fmt: skip
    from harness import until

    until(mark.exists, 20, "the first run's write")
    second = send("src/tree", "out")
    assert second.code == DESTINATION and "in use by another run" in second.text, second
    go.touch()
    assert first.wait().code == 0
    same(place.src / "tree", place.out / "tree")


# --- selection -----------------------------------------------------------------------------------------------------


def names_below(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, folders, files in os.walk(folder) for name in folders + files)


@pytest.fixture
def choice(place):
    for path in ("a/b/c.txt", "a/b/d.log", "a/keep.log", "build/x.o", "src/build/y.o", "src/main.c", "top.log"):
        (place.src / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (place.src / "tree" / path).write_text(path)
    return place.src / "tree"


RULES = [
    (["--exclude", "*.log"], {"a", "a/b", "a/b/c.txt", "build", "build/x.o", "src", "src/build", "src/build/y.o", "src/main.c"}),
    (["--include", "keep.log", "--exclude", "*.log", "--exclude", "build/"], {"a", "a/b", "a/b/c.txt", "a/keep.log", "src", "src/main.c"}),
    (["--exclude", "/tree/build"], {"a", "a/b", "a/b/c.txt", "a/b/d.log", "a/keep.log", "src", "src/build", "src/build/y.o", "src/main.c", "top.log"}),
    (["--include", "*/", "--include", "*.o", "--exclude", "*"], {"a", "a/b", "build", "build/x.o", "src", "src/build", "src/build/y.o"}),
    (["--exclude", "a/**/*.log", "--exclude", "s?c/***"], {"a", "a/b", "a/b/c.txt", "a/keep.log", "build", "build/x.o", "top.log"}),
]  # fmt: skip


@pytest.mark.parametrize("rules, left", RULES)
@pytest.mark.parametrize("from_list", [False, True])
def test_patterns(place, send, choice, rules, left, from_list):
    if from_list:
        signs = {"--include": "+ ", "--exclude": "- "}
        lines = [signs[kind] + pattern for kind, pattern in zip(rules[::2], rules[1::2])]
        (place / "list").write_text("# a comment\n\n; another\n" + "\n".join(lines) + "\n")
        rules = ["--exclude-from", "list"]
    result = send(*rules, "src/tree", "out")
    assert result.code == 0, result
    assert set(names_below(place.out / "tree")) == left


def test_wrong_patterns(place, send, choice):
    assert send("--exclude", "- ", "src/tree", "out").code == USAGE
    assert send("--exclude", "x" * 5000, "src/tree", "out").code == USAGE
    assert send("--exclude-from", "none", "src/tree", "out").code == SOURCE
    assert snapshot(place.out) is None


def test_dry_run(place, send, bcast, choice):
    result = send("--dry-run", "src/tree", "out", "--exclude", "build")
    assert result.code == 0 and snapshot(place.out) is None, result
    listed = {name["path"].rstrip("/") for name in result.report["names"]}
    assert send("src/tree", "out", "--exclude", "build").code == 0
    assert listed == {"tree"} | {"tree/" + name for name in names_below(place.out / "tree")}
    before = snapshot(place.out)
    (choice / "top.log").write_text("longer than before")
    result = send("--dry-run", "src/tree", "out")
    assert {name["path"] for name in result.report["names"]} == {
        "tree/top.log", "tree/build/", "tree/build/x.o", "tree/src/build/", "tree/src/build/y.o"
    }  # fmt: skip
    assert snapshot(place.out) == before
    result = bcast("--dry-run", "src/tree", "out/%r", ranks=3)
    assert result.code == 0 and len(result.report["names"]) == 1 + len(names_below(choice)), result
    assert result.report["bytes_moved"] == 0 and snapshot(place.out) == before


@pytest.mark.usefixtures("mounts")
def test_one_file_system(place, send, choice):
    from harness import mounted

    (choice / "mounted").mkdir()
    with mounted(choice / "mounted", "-t", "tmpfs", "-o", "size=1m", "argosy-test"):
        (choice / "mounted" / "inside").write_text("x")
        assert send("--one-file-system", "src/tree", "out").code == 0
        assert (place.out / "tree" / "mounted").is_dir() and not list((place.out / "tree" / "mounted").iterdir())
        assert send("src/tree", "all").code == 0
        assert (place / "all" / "tree" / "mounted" / "inside").read_text() == "x"


@pytest.mark.parametrize("option, key", [("--no-mode", "mode"), ("--no-times", "mtime"), ("--no-xattrs", "attributes"), ("--no-owner", "owner")])
def test_without(place, send, option, key):
    tree = place.src / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"x")
    (tree / "file").chmod(0o751)
    if os.geteuid() == 0:
        os.chown(tree / "file", 1234, 1234)
    elif key == "owner":
        pytest.skip("only root gives files away")
    if trees.has_attributes(place.root):
        os.setxattr(tree / "file", "user.one", b"1")
    elif key == "attributes":
        pytest.skip("no extended attributes here")
    os.utime(tree / "file", ns=(0, 10**18))
    result = send(option, "src/tree", "out", preexec_fn=lambda: os.umask(0o022))
    assert result.code == 0, result
    found = trees.differences(tree, place.out / "tree", folder_times=option != "--no-times")
    assert len(found) == 1 and f": {key} is" in found[0], found
    if key == "mode":
        assert stat.S_IMODE(os.stat(place.out / "tree" / "file").st_mode) == 0o644


# --- the comparer itself -------------------------------------------------------------------------------------------


def test_the_comparer_sees_differences(place):
    trees.random_tree(place.src / "a", 9)
    trees.random_tree(place.src / "b", 9)
    same(place.src / "a", place.src / "b")
    file = next(p for p in sorted((place.src / "b").iterdir()) if p.is_file() and not p.is_symlink() and p.stat().st_size > 10)
    info = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as changed:
        changed.seek(5)
        byte = changed.read(1)
        changed.seek(5)
        changed.write(bytes([byte[0] ^ 1]))
    file.chmod(info.st_mode)
    os.utime(file, ns=(info.st_mtime_ns, info.st_mtime_ns))
    assert any("contents" in line for line in trees.differences(place.src / "a", place.src / "b"))
    assert not trees.differences(place.src / "a", place.src / "a")


# --- folders that are moved away while they are filled ---------------------------------------------------------------


@pytest.mark.allow_leftovers
@pytest.mark.usefixtures("fault_library")
@pytest.mark.parametrize("command", [("send", "src/tree", "out"), ("send", "--publish", "src/tree", "out"), ("bcast", "src/tree", "out"),
                                     ("gather", "--concat", "--to", "1", "src", "out")], ids=" ".join)  # fmt: skip
@pytest.mark.parametrize("which, again", [("out", True), ("out", False), ("tree", True)])
def test_a_folder_that_is_moved_away(place, start, command, which, again):
    """What comes goes where it was: that it is not where it should be is an error."""
    (place.src / "tree").mkdir()
    place.file("tree/file", size=8 * MI)
    place.file("tree/small", size=8)
    mark, go = place / "mark", place / "go"
    job = start(*command, "--json", "--progress", "none", "--chunk-size", "256Ki", ranks=2, env=NETWORK,
                fault=f"op=write,rank={0 if command[0] == 'bcast' else 1},path=.part,nth=8,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    moved = place.out
    if which == "tree":
        moved = next(path for path in place.out.iterdir() if path.is_dir() and not path.name.endswith(".stage"))
    moved.rename(place / "elsewhere")
    if again:
        moved.mkdir()
    go.touch()
    result = job.wait(30)
    assert result.code in (PARTIAL, DESTINATION), result
    assert any("moved away" in error["message"] for error in result.report["errors"]), result
    assert not again or list(moved.iterdir()) == []


@pytest.mark.usefixtures("fault_library")
def test_a_stripe_s_folder_that_is_moved_away(place, start):
    place.file(size=4 * MI)
    mark, go = place / "mark", place / "go"
    job = start("scatter", "--json", "--progress", "none", "src/big.bin", "w%r", ranks=3, env=NETWORK,
                fault=f"op=write,rank=1,path=share_0001,nth=2,mark={mark},wait={go}")  # fmt: skip
    until(mark.exists, 30, "the write")
    (place / "w1").rename(place / "elsewhere")
    (place / "w1").mkdir()
    go.touch()
    result = job.wait(30)
    assert result.code in (PARTIAL, DESTINATION) and "moved away" in result.report["errors"][0]["message"], result
