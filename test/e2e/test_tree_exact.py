"""Folders, attribute by attribute: what is there already, other names of a file, other users, what can't be had."""

import errno
import os
import stat
import subprocess

import pytest
import trees
from harness import ARGOSY, DESTINATION, MI, NETWORK, PARTIAL, SOURCE, data_of, mounted, snapshot, until
from test_trees import same

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ACL = b"system.posix_acl_access"
DEFAULT_ACL = b"system.posix_acl_default"


@pytest.fixture
def tree(place):
    (place.src / "tree").mkdir()
    return place.src / "tree"


@pytest.fixture
def attributes(place):
    if not trees.has_attributes(place.root):
        pytest.skip("no extended attributes here")


@pytest.fixture
def nobody(place, argosy):
    """`send` as somebody who is not root, to whom the test's folder belongs by then."""
    if os.geteuid() != 0:
        return lambda *arguments, groups=None, **options: argosy("send", "--json", "--progress", "none", *arguments, **options)
    if subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-x", ARGOSY], capture_output=True).returncode:
        pytest.skip("nobody may not run this build")

    def run(*arguments, groups=None, **options):
        member = f"--groups={groups}" if groups else "--clear-groups"
        words = ["setpriv", "--reuid=65534", "--regid=65534", member, ARGOSY, "send", "--json", "--progress", "none", *arguments]
        return argosy(argv=words, **options)

    return run


def give_to_nobody(place, group=65534):
    if os.geteuid() != 0:
        return
    for at, folders, files in os.walk(place.root):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(at, name), 65534, group, follow_symlinks=False)


# --- who is not root -----------------------------------------------------------------------------------------------


def test_attributes_of_a_read_only_file(place, nobody, tree, attributes):
    for name, mode in (("read-only", 0o444), ("none", 0o400), ("large", 0o444)):
        (tree / name).write_bytes(data_of(2 * MI if name == "large" else 10))
        os.setxattr(tree / name, "user.a", b"1")
        (tree / name).chmod(mode)
    give_to_nobody(place)
    result = nobody("src/tree", "out")
    assert result.code == 0, result
    same(tree, place.out / "tree")
    for name in ("read-only", "none", "large"):
        os.setxattr(tree / name, "user.b", b"2")
    result = nobody("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    same(tree, place.out / "tree")


@pytest.mark.parametrize("umask", [0o277, 0o477, 0o777], ids=oct)
def test_a_umask_against_its_owner(place, nobody, tree, umask):
    (tree / "file").write_text("file")
    (tree / "file").chmod(0o640)
    place.out.mkdir()
    give_to_nobody(place)
    place.root.chmod(0o777)
    result = nobody("src/tree", "out", umask=umask, timeout=30)
    assert result.code == 0, result
    same(tree, place.out / "tree")


def test_no_mode_leaves_a_closed_folder_closed(place, nobody, tree):
    (tree / "closed").mkdir()
    (tree / "closed" / "file").write_text("file")
    (tree / "open").mkdir()
    give_to_nobody(place)
    assert nobody("src/tree", "out", "--no-mode").code == 0
    closed = place.out / "tree" / "closed"
    closed.chmod(0o555)
    (place.out / "tree" / "open").chmod(0o2750)
    (tree / "closed" / "file").write_text("longer")
    result = nobody("src/tree", "out", "--no-mode")
    assert result.code == 0 and (closed / "file").read_text() == "longer", result
    assert stat.S_IMODE(closed.stat().st_mode) == 0o555
    assert stat.S_IMODE((place.out / "tree" / "open").stat().st_mode) == 0o2750


@root_only
def test_a_group_that_one_may_give(place, nobody, tree):
    (tree / "file").write_text("file")
    os.mkfifo(tree / "fifo")
    (tree / "link").symlink_to("file")
    (tree / "folder").mkdir()
    give_to_nobody(place, 4242)
    assert nobody("src/tree", "out").code == 0
    assert os.stat(place.out / "tree" / "file").st_gid == 65534
    result = nobody("src/tree", "out", groups=4242)
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    same(tree, place.out / "tree")
    for name in ("file", "fifo", "link", "folder"):
        assert os.lstat(place.out / "tree" / name).st_gid == 4242, name


def test_a_file_in_place_that_its_owner_may_not_read(place, nobody, tree, attributes):
    (tree / "file").write_text("file")
    os.setxattr(tree / "file", "user.a", b"1")
    os.utime(tree / "file", ns=(0, 5))
    (place.out / "tree").mkdir(parents=True)
    (place.out / "tree" / "file").write_text("file")
    os.utime(place.out / "tree" / "file", ns=(0, 5))
    (place.out / "tree" / "file").chmod(0)
    give_to_nobody(place)
    result = nobody("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    same(tree, place.out / "tree")


# --- several names of a file ---------------------------------------------------------------------------------------


def inodes(*paths):
    return [os.lstat(path).st_ino for path in paths]


def test_hard_links_between_sources(place, send, bcast):
    for name in "ab":
        (place.src / name).mkdir()
    (place.src / "a" / "x").write_text("one")
    os.link(place.src / "a" / "x", place.src / "b" / "x")
    os.link(place.src / "a" / "x", place.src / "c")
    os.link(place.src / "a" / "x", place.src / "d")
    for sources in (["src/a", "src/b", "src/c", "src/d"], ["src/d", "src/c", "src/b", "src/a"]):
        for again in range(2):
            result = send(*sources, f"out{sources[0][4:]}")
            assert result.code == 0 and (result.report["bytes_moved"] == 0) == bool(again), result
        out = place / f"out{sources[0][4:]}"
        assert len(set(inodes(out / "a" / "x", out / "b" / "x", out / "c", out / "d"))) == 1
    assert bcast("--source", "shared", "--route", "ring", "src/c", "src/a", "src/b", "all/%r", ranks=3).code == 0
    for rank in "012":
        assert len(set(inodes(place / "all" / rank / "a" / "x", place / "all" / rank / "b" / "x", place / "all" / rank / "c"))) == 1
    assert send("--publish", "src/c", "src/a", "src/b", "shown").code == 0
    assert len(set(inodes(place / "shown" / "a" / "x", place / "shown" / "b" / "x", place / "shown" / "c"))) == 1


@pytest.mark.usefixtures("fault_library")
@pytest.mark.parametrize("size", [10, 3 * MI])
@pytest.mark.parametrize("gone", ["first", "last"])
def test_a_name_that_vanishes(place, start, tree, size, gone):
    """The file has others, by which it is read."""
    names = ["name-1", "name-2", "name-3"]
    (tree / names[0]).write_bytes(data_of(size))
    for name in names[1:]:
        os.link(tree / names[0], tree / name)
    mark, go = place / "mark", place / "go"
    job = start("send", "src/tree", "out", fault=f"op=open,rank=0,path=/tree/name-,skip=.argosy,nth=1,mark={mark},wait={go}", env=NETWORK)
    until(mark.exists, 20, "the file to be opened")
    os.unlink(tree / os.listdir(tree)[0 if gone == "first" else -1])
    go.touch()
    result = job.wait()
    assert result.code == 0, result
    assert {path.name for path in (place.out / "tree").iterdir()} == set(names)
    for name in names:
        assert (place.out / "tree" / name).read_bytes() == data_of(size)


def test_names_that_only_the_destination_has_in_common(place, send, tree):
    """What is in place keeps its other names' metadata as they are."""
    out = place.out / "tree"
    out.mkdir(parents=True)
    for name in ("k1", "k2"):
        (tree / name).write_text("k")
        os.utime(tree / name, ns=(0, 99))
    (tree / "k2").chmod(0o600)
    (out / "k1").write_text("k")
    os.utime(out / "k1", ns=(0, 99))
    os.link(out / "k1", out / "k2")
    os.link(out / "k1", place / "snapshot")
    mode = os.stat(tree / "k1").st_mode
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 1, result
    same(tree, out)
    assert os.stat(place / "snapshot").st_mode == mode


def test_new_metadata_of_names_that_the_source_has_in_common(place, send, tree):
    (tree / "one").write_text("one")
    os.link(tree / "one", tree / "two")
    assert send("src/tree", "out").code == 0
    (tree / "one").chmod(0o600)
    result = send("src/tree", "out")
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    same(tree, place.out / "tree")
    os.link(place.out / "tree" / "one", place / "snapshot")
    (tree / "one").chmod(0o640)
    assert send("src/tree", "out").code == 0
    same(tree, place.out / "tree")
    assert stat.S_IMODE(os.stat(place / "snapshot").st_mode) == 0o600


def test_a_new_name_in_a_new_folder(place, send, tree):
    """The file has new metadata too; and the folder, which is listed before the file, has enough to be filled beside itself."""
    new = ["0", "1", "2", "3"]  # two of which are listed before the file, whichever way a folder is listed
    for name in new[:2]:
        (tree / name).mkdir()
    (tree / "one").write_text("one")
    os.link(tree / "one", tree / "two")
    for name in new[2:]:
        (tree / name).mkdir()
    assert send("src/tree", "out", *[f"--exclude={name}" for name in new]).code == 0
    for name in new:
        for number in range(5):
            (tree / name / f"file{number}").write_text(name)
        os.link(tree / "one", tree / name / "link")
    (tree / "one").chmod(0o600)
    result = send("src/tree", "out")
    assert result.code == 0, result
    same(tree, place.out / "tree")


@pytest.mark.usefixtures("fault_library")
def test_a_name_of_what_could_not_be_read(place, send, tree):
    """An older file stands under the first name: the second, which is right, does not become it."""
    (tree / "one").write_text("new")
    os.link(tree / "one", tree / "two")
    first, second = os.listdir(tree)
    target = place.out / "tree"
    target.mkdir(parents=True)
    (target / first).write_text("older")
    (target / second).write_text("new")
    result = send("src/tree", "out", fault={"op": "read", "rank": 0, "path": "/src/tree/", "times": "all", "fail": "EIO"})
    assert result.code == PARTIAL and (target / second).read_text() == "new", result
    assert {os.path.basename(error["path"]) for error in result.report["errors"]} == {first, second}, result
    assert send("src/tree", "out").code == 0
    same(tree, target)


@pytest.mark.usefixtures("fault_library")
def test_a_close_that_fails_after_the_name_was_given(place, send, tree):
    for name in ("one", "two"):
        (tree / name).write_text(name)
    result = send("src/tree", "out", fault={"op": "close", "rank": 1, "path": "/out/tree/#", "fail": "EIO"})
    assert result.code == PARTIAL and [error["errno"] for error in result.report["errors"]] == [errno.EIO], result
    failed = os.path.basename(result.report["errors"][0]["path"])
    assert os.listdir(place.out / "tree") == [name for name in ("one", "two") if name != failed]


# --- special files and links ---------------------------------------------------------------------------------------


def acls(path):
    try:
        return os.getxattr(path, ACL)
    except OSError as error:
        assert error.errno == errno.ENODATA
        return None


@pytest.mark.usefixtures("attributes")
def test_the_acl_of_a_fifo(place, send, argosy, tree):
    os.mkfifo(tree / "plain")
    os.mkfifo(tree / "controlled")
    os.setxattr(tree / "controlled", ACL, trees.AN_ACL)
    place.out.mkdir()
    os.setxattr(place.out, DEFAULT_ACL, trees.AN_ACL)
    assert send("src/tree", "out").code == 0
    assert acls(place.out / "tree" / "plain") is None and acls(place.out / "tree" / "controlled") == trees.AN_ACL
    assert argosy("verify", "src/tree", "out/tree").code == 0
    os.setxattr(tree / "plain", ACL, trees.AN_ACL)
    os.removexattr(tree / "controlled", ACL)
    mode = stat.S_IMODE(os.lstat(place.out / "tree" / "controlled").st_mode)
    os.chmod(tree / "controlled", mode)
    assert send("src/tree", "out").code == 0
    assert acls(place.out / "tree" / "plain") == trees.AN_ACL and acls(place.out / "tree" / "controlled") is None
    assert argosy("verify", "src/tree", "out/tree").code == 0


@root_only
def test_attributes_of_a_link(place, send, argosy, bcast, tree):
    (tree / "link").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    try:
        for name in ("link", "fifo"):
            os.setxattr(tree / name, "trusted.a", b"1", follow_symlinks=False)
    except OSError:
        pytest.skip("no trusted attributes here")
    assert send("--save-manifest", "m", "src/tree", "out").code == 0
    for name in ("link", "fifo"):
        assert os.getxattr(place.out / "tree" / name, "trusted.a", follow_symlinks=False) == b"1"
    assert argosy("verify", "src/tree", "out/tree").code == 0
    for name in ("link", "fifo"):
        os.setxattr(place.out / "tree" / name, "trusted.a", b"2", follow_symlinks=False)
    result = argosy("verify", "src/tree", "out/tree")
    assert result.code == PARTIAL and result.out.count(b"trusted.a") == 2, result
    result = argosy("verify", "--manifest", "m", "out")
    assert result.code == PARTIAL and result.out.count(b"trusted.a") == 2, result
    assert send("src/tree", "out").code == 0
    assert argosy("verify", "src/tree", "out/tree").code == 0


# --- a dry run -----------------------------------------------------------------------------------------------------


def names(result):
    return {name["path"].rstrip("/") for name in result.report["names"]}


def test_a_dry_run_tells_new_metadata(place, send, tree, attributes):
    (tree / "folder").mkdir()
    for name in ("file", "attributed", "same"):
        (tree / name).write_text(name)
    os.mkfifo(tree / "fifo", 0o600)
    assert send("src/tree", "out").code == 0
    assert names(send("--dry-run", "src/tree", "out")) == set()
    (tree / "file").chmod(0o600)
    (tree / "folder").chmod(0o700)
    (tree / "fifo").chmod(0o644)
    os.setxattr(tree / "attributed", "user.a", b"1")
    before = snapshot(place.out)
    result = send("--dry-run", "src/tree", "out")
    assert result.code == 0 and names(result) == {"tree/file", "tree/folder", "tree/fifo", "tree/attributed"}, result
    assert snapshot(place.out) == before


def test_a_dry_run_tells_what_is_in_the_way(place, send, tree):
    (tree / "folder").mkdir()
    (tree / "folder" / "below").write_text("x")
    (tree / "file").write_text("file")
    (place.out / "tree" / "file").mkdir(parents=True)
    (place.out / "tree" / "folder").write_text("file")
    result = send("--dry-run", "src/tree", "out")
    assert result.code in (PARTIAL, DESTINATION) and result.report["errors_total"] == 2, result


# --- what can't be had ---------------------------------------------------------------------------------------------


def test_a_folder_into_itself(place, send, tree):
    (tree / "f").write_text("x")
    before = snapshot(place.src)
    for _ in range(2):
        result = send("src/tree", "src/tree")
        assert result.code == SOURCE and "into itself" in result.text, result
    assert snapshot(place.src) == before
    place.file("other", size=5)
    result = send("src/tree", "src/other", "src/tree")
    assert result.code == PARTIAL and (tree / "other").exists() and not (tree / "tree").exists(), result


def test_one_line_for_a_refused_folder(place, send, tree):
    (tree / "folder" / "below").mkdir(parents=True)
    for number in range(50):
        (tree / "folder" / "below" / str(number)).write_text("x")
    (tree / "fine").write_text("fine")
    (place.out / "tree").mkdir(parents=True)
    (place.out / "tree" / "folder").write_text("in the way")
    result = send("src/tree", "out")
    assert result.code == PARTIAL and result.report["errors_total"] == 1, result
    assert len(result.lines) == 1 and "with 51 entries in it" in result.lines[0], result
    assert (place.out / "tree" / "fine").read_text() == "fine"


def test_names_that_are_argosys_own(place, send, argosy, tree):
    """What `clean` would take away is not moved."""
    (tree / "fine").write_text("fine")
    (tree / ".argosy-0123456789abcdef.part").write_text("mine")
    (tree / ".argosy-0123456789abcdef.tree").mkdir()
    (tree / ".argosy-0123456789abcdef.7.get").write_text("mine")
    result = send("src/tree", "src/tree/.argosy-0123456789abcdef.part", "out")
    assert result.code == PARTIAL and result.report["errors_total"] == 4, result
    assert "left out" in result.text
    assert os.listdir(place.out) == ["tree"] and os.listdir(place.out / "tree") == ["fine"]
    for path in tree.iterdir():
        if path.name.startswith(".argosy"):
            path.rmdir() if path.is_dir() else path.unlink()


def test_a_lock_is_nobodys_data(place, send, tree):
    """One that a killed run has left in what is now a source."""
    (tree / ".argosy-0123456789abcdef.lock").write_text("host a, pid 1\n")
    result = send("src/tree", "out")
    assert result.code == 0 and os.listdir(place.out / "tree") == [], result
    (tree / ".argosy-0123456789abcdef.lock").unlink()


@root_only
def test_security_attributes(place, send, tree, attributes):
    (tree / "file").write_text("x")
    try:
        os.setxattr(tree / "file", "security.NTACL", b"somebody's")
    except OSError:
        pytest.skip("no such attributes here")
    assert send("src/tree", "out").code == 0
    assert os.getxattr(place.out / "tree/file", "security.NTACL") == b"somebody's"


def test_names_that_look_alike(place, send, tree):
    (tree / "a\nb").write_text("x")
    (tree / "a\\nb").write_text("x")
    place.out.mkdir()
    result = send("--dry-run", "src/tree", "out")
    assert names(result) == {"tree", "tree/a\nb", "tree/a\\nb"}


def test_names_that_look_alike_on_a_terminal(place, argosy, tree):
    (tree / "a\nb").write_text("x")
    (tree / "a\\nb").write_text("x")
    lines = argosy("send", "--dry-run", "src/tree", "out").out.decode().splitlines()
    assert sorted(lines[:3]) == sorted(["tree/", "tree/a\\nb", "tree/a\\\\nb"])


@root_only
def test_set_id_without_its_owner(place, send, argosy, tree):
    (tree / "file").write_text("x")
    os.chown(tree / "file", 77, 78)
    (tree / "file").chmod(0o6755)
    assert send("--no-owner", "src/tree", "out").code == 0
    assert stat.S_IMODE(os.stat(place.out / "tree" / "file").st_mode) == 0o755
    assert argosy("verify", "--no-owner", "src/tree", "out/tree").code == 0
    assert argosy("verify", "src/tree", "out/tree").code == PARTIAL


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="no /proc")
def test_a_file_that_tells_no_size(place, send):
    result = send("/proc/version", "out")
    assert result.code == SOURCE and "standard input" in result.text, result
    assert not os.path.exists(place.out / "version")


@pytest.mark.usefixtures("mounts", "attributes")
def test_attributes_that_the_destination_has_not(place, send, tree):
    """The file arrives, with all that can be had of it."""
    (tree / "file").write_text("file")
    (tree / "file").chmod(0o640)
    os.setxattr(tree / "file", "user.a", b"1")
    os.setxattr(tree, "user.a", b"1")
    (tree / "plain").write_text("plain")
    with mounted(place.out, "-t", "ramfs", "argosy-test"):
        result = send("src/tree", "out")
        assert result.code == PARTIAL and result.report["errors_total"] == 2 and "user.a" in result.text, result
        same(tree, place.out / "tree", attributes=False)
        assert send("--no-xattrs", "src/tree", "out").code == 0


def test_more_attributes_than_are_moved(place, send, tree):
    (tree / "file").write_text("file")
    (tree / "plain").write_text("plain")
    try:
        for number in range(5):
            os.setxattr(tree / "file", f"user.{number}", b"v" * 60_000)
    except OSError:
        pytest.skip("this file system takes no such attributes")
    result = send("src/tree", "src/tree/file", "out")
    assert result.code == PARTIAL and result.report["errors_total"] == 2, result
    same(tree, place.out / "tree", attributes=False)
    assert (place.out / "file").read_text() == "file"


@pytest.mark.usefixtures("mounts")
def test_a_read_only_destination_where_all_is_in_place(place, send, tree):
    trees.remove(tree)
    trees.random_tree(tree, 3)
    with mounted(place.out, "-t", "tmpfs", "-o", "size=64m", "argosy-test"):
        assert send("src/tree", "out").code == 0
        subprocess.run(["mount", "-o", "remount,ro", str(place.out)], check=True)
        result = send("src/tree", "out")
        assert result.code == 0 and result.report["bytes_moved"] == 0, result
        (tree / "new").write_text("new")
        result = send("src/tree", "out")
        assert result.code in (PARTIAL, DESTINATION) and "Read-only" in result.text, result


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("ranks, one_node", [(3, True), (2, False)])
@pytest.mark.parametrize("source", ["src/tree", "src/large"])
def test_a_read_only_destination_of_a_broadcast(place, bcast, tree, source, ranks, one_node):
    """Whoever has nothing to write needs no right to."""
    trees.remove(tree)
    trees.random_tree(tree, 3)
    place.file("large", size=3 * MI)
    with mounted(place.out, "-t", "tmpfs", "-o", "size=64m", "argosy-test"):
        assert bcast(source, "out", ranks=ranks, one_node=one_node).code == 0
        subprocess.run(["mount", "-o", "remount,ro", str(place.out)], check=True)
        result = bcast(source, "out", ranks=ranks, one_node=one_node)
        assert result.code == 0 and result.report["bytes_moved"] == 0 and result.errors == [], result
        with open(place / source if source.endswith("large") else place / source / "new", "a") as file:
            file.write("new")
        result = bcast(source, "out", ranks=ranks, one_node=one_node)
        assert result.code in (PARTIAL, DESTINATION) and "Read-only" in result.text, result


def test_a_single_file_in_place(place, send):
    path = place.file(size=3 * MI)
    for moved in (3 * MI, 0):
        result = send(path, "out")
        assert result.code == 0 and result.report["bytes_moved"] == moved, result
    os.utime(path)
    assert send(path, "out").report["bytes_moved"] == 3 * MI
