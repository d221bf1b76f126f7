"""The same `argosy scatter` and `gather` of a folder again: what is in place is not moved."""

import os

import pytest
import trees
from harness import KI, NETWORK, SOURCE, UNDER, data_of, leftovers, snapshot
from stripes import flip, folder, lose, manifest, share, sign


@pytest.fixture
def tree(place):
    """With everything that has a mode, an owner and a time of its own."""
    trees.nasty(place.src / "tree", deep=20, many=300)
    yield place.src / "tree"
    for one in place.root.iterdir():
        trees.remove(one)


@pytest.fixture
def say(argosy):
    """Runs it for people: the exit code, and what stands on standard output."""

    def say(*arguments, **options):
        result = argosy(*(str(one) if isinstance(one, int) else one for one in arguments), **options)
        return result.code, result.out.decode()

    return say


def in_place(result):
    said = result.code == 0 and result.report["bytes_moved"] == 0 and result.report["bytes"] > 0
    return said and all(rank["bytes_read"] == rank["bytes_written"] == 0 for rank in result.report["ranks"])


def moved(result):
    return result.code == 0 and result.report["bytes_moved"] == result.report["bytes"] > 0


OPTIONS = ["--parity", 1, "--chunk-size", "64Ki"]


@pytest.mark.parametrize("layout, one_node, launch", [("stripe", True, None), ("chunks", False, None), ("stripe", False, UNDER)])
@pytest.mark.parametrize("checksum", [[], ["--checksum"]])
def test_nothing_is_moved_again(place, run, say, tree, layout, one_node, launch, checksum):
    more = {"env": {} if one_node else NETWORK, **({"launch": launch} if launch else {})}
    command = ["scatter", *OPTIONS, "--layout", layout, *checksum, tree, "w%r"]
    first = run(*command, ranks=5, **more)
    assert moved(first), first
    generation = manifest(place / "w1", "tree")["generation"]
    before = snapshot(place.root)
    again = run(*command, ranks=5, **more)
    assert in_place(again), again
    assert again.report["files"] == 1 and again.report["bytes"] == first.report["bytes"]
    assert again.report["stripe"]["generation"] == generation == manifest(place / "w1", "tree")["generation"]
    assert snapshot(place.root) == before
    code, text = say(*command, ranks=5, **more)
    assert code == 0 and "already in place" in text and "any 1 share may be lost" in text, text


def test_one_folder_for_all_workers(place, run, tree):
    command = ["scatter", "--root-too", tree, place.out]
    assert moved(run(*command, ranks=3))
    assert in_place(run(*command, ranks=3))


CHANGES = {
    "content": lambda tree: (tree / "new").write_bytes(b"n"),
    "size": lambda tree: os.truncate(tree / "changing", 3),
    "time": lambda tree: os.utime(tree / "changing", ns=(0, 1)),
    "mode": lambda tree: os.chmod(tree / "changing", 0o601),
    "owner": lambda tree: os.chown(tree / "changing", -1, 4321),
    "attribute": lambda tree: os.setxattr(tree / "changing", "user.more", b"x"),
    "gone": lambda tree: (tree / "changing").unlink(),
    "renamed": lambda tree: os.rename(tree / "changing", tree / "changed"),
    "folder": lambda tree: os.utime(tree, ns=(0, 1)),
    "link": lambda tree: ((tree / "link").unlink(), os.symlink("other", tree / "link"), os.utime(tree / "link", ns=(0, 1), follow_symlinks=False)),
    "another link": lambda tree: ((tree / "twin").unlink(), os.link(tree / "second", tree / "twin")),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_seen(place, run, change):
    tree = place.src / "tree"
    for name in ("changing", "first", "second", "sub/one", "sub/two"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data_of(3 * KI))
        os.utime(tree / name, ns=(0, 10**18))
    os.link(tree / "first", tree / "twin")
    os.symlink("first", tree / "link")
    os.utime(tree / "link", ns=(0, 1), follow_symlinks=False)
    os.utime(tree, ns=(0, 10**18))
    assert moved(run("scatter", tree, "w%r", ranks=3))
    if change == "owner" and os.geteuid() != 0:
        pytest.skip("needs root")
    CHANGES[change](tree)
    if change != "folder":
        os.utime(tree, ns=(0, 10**18))
    assert moved(run("scatter", tree, "w%r", ranks=3)), change
    assert in_place(run("scatter", tree, "w%r", ranks=3)), change
    assert run("gather", "w%r/tree", "back", ranks=3).code == 0
    assert not trees.differences(tree, place / "back")


def broken(place, how):
    one = share(place / "w2", 2, "tree")
    if how == "gone":
        lose(place / "w2")
    elif how == "no share":
        one.unlink()
    elif how == "short share":
        os.truncate(one, one.stat().st_size - 1)
    elif how == "manifest":
        flip(folder(place / "w2", "tree") / "manifest.json", 20)
    elif how == "table":
        flip(folder(place / "w2", "tree") / "digests.bin", 5)
    elif how == "another stripe":
        lose(folder(place / "w2", "tree"))
        os.rename(folder(place / "other", "tree"), folder(place / "w2", "tree"))


@pytest.mark.parametrize("how", ["gone", "no share", "short share", "manifest", "table", "another stripe"])
def test_a_share_that_is_not_in_place(place, run, how):
    trees.random_tree(place.src / "tree", 5)
    command = ["scatter", *OPTIONS, "src/tree"]
    assert moved(run(*command, "other", ranks=4))
    assert moved(run(*command, "w%r", ranks=4))
    broken(place, how)
    assert moved(run(*command, "w%r", ranks=4))
    assert run("verify", "--stripes", "w%r/tree", ranks=4).code == 0
    assert in_place(run(*command, "w%r", ranks=4))


@pytest.mark.parametrize("layout", ["stripe", "chunks"])
def test_a_damaged_share_and_checksum(place, run, layout):
    """Sizes and times agree: only --checksum looks at what is in it."""
    trees.random_tree(place.src / "tree", 5)
    command = ["scatter", "--layout", layout, "--chunk-size", "1KiB", "src/tree", "w%r"]
    assert moved(run(*command, ranks=3))
    one = share(place / "w2", 2, "tree") if layout == "stripe" else folder(place / "w2", "tree") / "chunk_0000000003"
    flip(one, 50)
    assert in_place(run(*command, ranks=3))
    assert moved(run(*command, "--checksum", ranks=3))
    assert in_place(run(*command, "--checksum", ranks=3))
    assert run("verify", "--stripes", "w%r/tree", ranks=3).code == 0


def test_a_changed_source_and_checksum(place, run):
    (place.src / "tree").mkdir()
    (place.src / "tree/file").write_bytes(b"right")
    os.utime(place.src / "tree/file", ns=(0, 1))
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))
    flip(place.src / "tree/file", 2)
    assert in_place(run("scatter", "src/tree", "w%r", ranks=3))
    assert moved(run("scatter", "--checksum", "src/tree", "w%r", ranks=3))
    assert in_place(run("scatter", "--checksum", "src/tree", "w%r", ranks=3))


@pytest.mark.parametrize("other", [["--chunk-size", "1000"], ["--parity", 1], ["--layout", "chunks"], ["--exclude", "/tree/*"], ["--root-too"], []])
def test_other_options_or_ranks(place, run, other):
    trees.random_tree(place.src / "tree", 6)
    assert moved(run("scatter", "src/tree", "w%r", ranks=4))
    ranks = 4 if other else 3
    assert moved(run("scatter", *other, "src/tree", "w%r", ranks=ranks))
    assert in_place(run("scatter", *other, "src/tree", "w%r", ranks=ranks))


def test_what_an_older_version_has_left(place, run):
    """A manifest without a signature: all is moved."""
    trees.random_tree(place.src / "tree", 6)
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))
    for worker in (1, 2):
        told = manifest(place / f"w{worker}", "tree")
        del told["signature"]
        sign(folder(place / f"w{worker}", "tree") / "manifest.json", told)
    assert run("verify", "--stripes", "w%r/tree", ranks=3).code == 0
    assert gathered(run("gather", "w%r/tree", "back", ranks=3))
    assert gathered(run("gather", "w%r/tree", "back", ranks=3))
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))


def test_a_stripe_that_lacks_a_file(place, run, fault_library):
    """Of what could not be read nobody knows whether it is in place."""
    trees.random_tree(place.src / "tree", 6)
    (place.src / "tree/bad").write_bytes(data_of(3000))
    result = run("scatter", "src/tree", "w%r", ranks=3,
                 fault={"op": "read", "rank": 0, "path": "/tree/bad", "fail": "EIO", "times": "all"})  # fmt: skip
    assert result.code == 1 and "signature" not in manifest(place / "w1", "tree"), result
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))
    assert run("gather", "w%r/tree", "back", ranks=3).code == 0 and (place / "back/bad").exists()


def test_files_beside_it_are_moved(place, run):
    trees.random_tree(place.src / "tree", 6)
    path = place.file("file", data=data_of(3000))
    first = run("scatter", "src/tree", path, "w%r", ranks=3)
    again = run("scatter", "src/tree", path, "w%r", ranks=3)
    assert again.code == 0 and again.report["files"] == 2 and again.report["bytes"] == first.report["bytes"], again
    assert again.report["bytes_moved"] == 3000


def gathered(result):
    return result.code == 0 and result.report["bytes_moved"] > 0


@pytest.mark.parametrize("env", [{}, NETWORK])
def test_gathered_again(place, run, say, tree, env):
    assert run("scatter", *OPTIONS, tree, "w%r", ranks=4, env=env).code == 0
    command = ["gather", "--to", 1, "w%r/tree", "back"]
    first = run(*command, ranks=4, env=env)
    assert gathered(first), first
    before = snapshot(place.root)
    again = run(*command, ranks=4, env=env)
    assert in_place(again), again
    assert [again.report[key] for key in ("files", "folders", "bytes")] == [first.report[key] for key in ("files", "folders", "bytes")]
    assert snapshot(place.root) == before
    assert "already in place" in say(*command, ranks=4, env=env)[1]
    # Where too much is lost nothing has to come, either.
    lose(place / "w2", place / "w3")
    assert in_place(run(*command, ranks=4, env=env))
    assert not trees.differences(tree, place / "back")


def test_onto_the_source(place, run):
    trees.random_tree(place.src / "tree", 8)
    assert run("scatter", "src/tree", "w%r", ranks=3).code == 0
    assert in_place(run("gather", "w%r/tree", "src/tree", ranks=3))


def spoil(path, data=b"wrong"):
    info = path.stat()
    folder_info = path.parent.stat()
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    os.utime(path.parent, ns=(folder_info.st_atime_ns, folder_info.st_mtime_ns))


@pytest.mark.parametrize("why", ["checksum", "another change"])
def test_a_wrong_file_of_the_right_size_and_time(place, run, say, why):
    """What is said to be written and verified is right."""
    (place.src / "tree").mkdir()
    for name in ("a", "b"):
        (place.src / "tree" / name).write_bytes(b"right")
    assert run("scatter", "src/tree", "w%r", ranks=3).code == 0
    assert run("gather", "w%r/tree", "back", ranks=3).code == 0
    spoil(place / "back/a")
    if why == "checksum":
        assert in_place(run("gather", "w%r/tree", "back", ranks=3)) and (place / "back/a").read_bytes() == b"wrong"
        assert gathered(run("gather", "--checksum", "w%r/tree", "back", ranks=3))
    else:
        (place / "back/b").unlink()
        code, text = say("gather", "w%r/tree", "back", ranks=3)
        assert code == 0 and "written and verified" in text, text
    assert not trees.differences(place.src / "tree", place / "back")


def test_what_the_destination_is_left_to_decide(place, run):
    (place.src / "tree").mkdir()
    (place.src / "tree/file").write_bytes(b"x")
    os.chmod(place.src / "tree/file", 0o604)
    os.setxattr(place.src / "tree/file", "user.x", b"y")
    assert run("scatter", "src/tree", "w%r", ranks=3).code == 0
    loose = ["gather", "--no-mode", "--no-xattrs", "w%r/tree", "back"]
    assert gathered(run(*loose, ranks=3))
    assert in_place(run(*loose, ranks=3))
    assert gathered(run("gather", "--no-mode", "w%r/tree", "back", ranks=3))
    assert gathered(run("gather", "w%r/tree", "back", ranks=3))
    assert in_place(run("gather", "w%r/tree", "back", ranks=3))
    assert not trees.differences(place.src / "tree", place / "back")


def test_saved_manifests_of_what_is_in_place(place, run, tree):
    scatter = ["scatter", "--save-manifest", "sent", tree, "w%r"]
    gather = ["gather", "--save-manifest", "got", "w%r/tree", "back"]
    assert run(*scatter, ranks=3).code == 0 and run(*gather, ranks=3).code == 0
    lines = {name: sorted((place / name).read_text().splitlines()) for name in ("sent", "got")}
    for name in lines:
        (place / name).unlink()
    for command, name in ((scatter, "sent"), (gather, "got")):
        again = run(*command, ranks=3)
        assert again.code == 0 and again.report["bytes_moved"] == 0, again
        assert len((place / name).read_text().splitlines()) == len(lines[name])
    assert run("verify", "--manifest", "got", ".", ranks=2).code == 0


def test_a_younger_stripe_elsewhere(place, run):
    """Whoever gathers would take that one."""
    trees.random_tree(place.src / "tree", 9)
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))
    (place.src / "tree/new").write_bytes(b"n")
    assert moved(run("scatter", "src/tree", "other%r", ranks=3))
    os.rename(place / "other1", place / "w7")
    os.rename(place / "other2", place / "w8")
    (place.src / "tree/new").unlink()
    again = run("scatter", "src/tree", "w%r", ranks=3)
    assert again.code == 0 and again.report["bytes_moved"] > 0, again


def test_what_a_killed_run_has_left_beside_it(place, run, fault_library):
    """It goes, which takes a scatter."""
    trees.random_tree(place.src / "tree", 9)
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))
    (place.src / "tree/new").write_bytes(b"n")
    killed = run("scatter", "src/tree", "w%r", ranks=3,
                 fault={"op": "write", "rank": 1, "path": "share_", "nth": 1, "signal": "SIGKILL"})  # fmt: skip
    assert killed.code != 0 and leftovers(place.root), killed
    assert moved(run("scatter", "src/tree", "w%r", ranks=3))
    assert not leftovers(place.root)
    assert in_place(run("scatter", "src/tree", "w%r", ranks=3))


def names_of(result):
    return sorted(one["path"] for one in result.report["names"])


def test_dry_run(place, run, say):
    tree = place.src / "tree"
    for name in ("a", "sub/b", "sub/c.tmp"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data_of(3000))
    path = place.file("file", data=data_of(10))
    command = ["scatter", "--dry-run", "--save-manifest", "saved", "--exclude", "*.tmp", "src/tree", path, "w%r"]
    before = snapshot(place.root)
    result = run(*command, ranks=3)
    assert result.code == 0 and result.report["bytes_moved"] == 0 and "stripe" not in result.report, result
    assert names_of(result) == ["file", "tree/", "tree/a", "tree/sub/", "tree/sub/b"] and result.report["would_change"] == 5
    code, text = say(*command, ranks=3)
    assert code == 0 and sorted(text.splitlines()[:-1]) == names_of(result), text
    assert text.endswith("5 would change; nothing was moved\n"), text
    assert snapshot(place.root) == before
    assert run("scatter", "--exclude", "*.tmp", "src/tree", path, "w%r", ranks=3).code == 0
    result = run(*command, ranks=3)
    assert names_of(result) == ["file"], result
    (tree / "a").write_bytes(b"")
    assert len(names_of(run(*command, ranks=3))) == 5
    many = place.src / "many"
    many.mkdir()
    for i in range(2500):
        (many / str(i)).touch()
    assert run("scatter", "--dry-run", "src/many", "w%r", ranks=3).report["would_change"] == 2501
    assert run("scatter", "--dry-run", "src/none", "w%r", ranks=3).code == SOURCE
