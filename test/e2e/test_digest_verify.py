"""digest, verify and saved manifests."""

import hashlib
import json
import os
import shutil
import signal
import subprocess

import pytest
import trees
from harness import DESTINATION, HOST, KI, MI, NETWORK, PARTIAL, SELF, SOURCE, UNDER, USAGE, data_of, until

WAYS = [SELF, UNDER]


@pytest.fixture
def tree(place):
    trees.random_tree(place.src / "tree", 4, files=150)
    return place.src / "tree"


def files_below(root):
    found = []
    for at, _, files in os.walk(os.fsencode(root)):
        found += [os.path.join(at, name) for name in files]
    return [path for path in found if os.path.isfile(path) and not os.path.islink(path)]


@pytest.mark.parametrize("launch", WAYS, ids=repr)
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_sha256sum_takes_the_lines(place, argosy, tree, launch, ranks):
    result = argosy("digest", "--sha256", "src/tree", launch=launch, ranks=ranks)
    assert result.code == 0, result
    check = subprocess.run(["sha256sum", "-c", "--strict", "-"], input=result.out, cwd=place.root, capture_output=True)
    assert check.returncode == 0 and check.stderr == b"", (result, check)
    assert len(result.out.splitlines()) == len(files_below(tree))


def test_the_order_is_that_of_the_names(place, argosy, tree):
    once = argosy("digest", "src/tree", ranks=3, env=NETWORK)
    assert once.code == 0 and once.out == argosy("digest", "--xxh3", "src/tree", ranks=1).out, once


def test_xxh3_is_what_send_prints(place, send, argosy):
    """A file of several parts too."""
    for size in (0, 1, 256 * KI, 130 * MI + 7):
        path = place.file(f"f{size}", size=size)
        digest = send(path, "out").report["digest"]
        result = argosy("digest", f"src/f{size}", ranks=3)
        assert result.out.decode() == f"{digest}  src/f{size}\n", result


def test_sha256_of_a_single_file(place, argosy):
    path = place.file(size=3 * MI + 1)
    result = argosy("digest", "--sha256", path)
    assert result.out.decode() == f"{hashlib.sha256(data_of(3 * MI + 1)).hexdigest()}  {path}\n"


def test_json(place, argosy, tree):
    result = argosy("digest", "--json", "src/tree")
    assert result.code == 0 and len(result.report["lines"]) == result.report["files"] == len(files_below(tree)), result


@pytest.mark.usefixtures("fault_library")
def test_digest_of_what_can_not_be_read(place, argosy):
    place.file("good", size=10)
    result = argosy("digest", "src/gone", "src/good")
    assert result.code == PARTIAL and "gone" in result.text and result.out.endswith(b"  src/good\n"), result
    assert argosy("digest", "src/gone").code == SOURCE
    place.file("bad", size=10)
    result = argosy("digest", "src", fault={"op": "read", "path": "/src/bad", "fail": "EIO", "times": "all"})
    assert result.code == PARTIAL and "src/bad" in result.text and b"src/good" in result.out, result


def test_digest_usage(argosy):
    assert argosy("digest").code == USAGE
    assert argosy("digest", "--sha256", "--xxh3", "x").code == USAGE


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_verify(place, argosy, send, tree, ranks):
    assert send("src/tree", "out").code == 0
    result = argosy("verify", "src/tree", "out/tree", ranks=ranks)
    assert result.code == 0 and result.out == b"", result
    assert argosy("verify", "src/tree", "src/tree").code == 0


CHANGES = {
    "content": lambda root: _flip(root / "file"),
    "mode": lambda root: (root / "file").chmod(0o600),
    "mtime": lambda root: os.utime(root / "file", ns=(0, 5)),
    "size": lambda root: _size(root / "file"),
    "only in the first": lambda root: (root / "folder" / "below").unlink(),
    "only in the second": lambda root: _new(root / "folder"),
    "link": lambda root: _relink(root / "link"),
    "type": lambda root: _retype(root / "file"),
    "links": lambda root: _split(root),
    "attribute": lambda root: os.setxattr(root / "file", "user.new", b"x"),
    "owner": lambda root: os.chown(root / "file", 77, 77),
}


def _kept(path, change):
    info = os.stat(path)
    change()
    os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))


def _flip(path):
    def change():
        with open(path, "r+b") as file:
            file.seek(70_000)
            byte = file.read(1)
            file.seek(70_000)
            file.write(bytes([byte[0] ^ 1]))

    _kept(path, change)


def _size(path):
    _kept(path, lambda: path.write_bytes(data_of(5)))


def _new(folder):
    _kept(folder, lambda: (folder / "new").write_text("x"))


def _relink(path):
    info = os.lstat(path)
    path.unlink()
    path.symlink_to("elsewhere")
    os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns), follow_symlinks=False)


def _retype(path):
    path.unlink()
    path.mkdir()


def _split(root):
    info = os.stat(root / "two")
    data = (root / "two").read_bytes()
    (root / "two").unlink()
    (root / "two").write_bytes(data)
    os.utime(root / "two", ns=(info.st_mtime_ns, info.st_mtime_ns))


@pytest.fixture
def pair(place, send):
    root = place.src / "tree"
    (root / "folder").mkdir(parents=True)
    (root / "file").write_bytes(data_of(100_000))
    (root / "folder" / "below").write_text("below")
    (root / "link").symlink_to("file")
    (root / "one").write_text("two names")
    os.link(root / "one", root / "two")
    assert send("--save-manifest", "m.json", "src/tree", "out").code == 0
    return root, place.out / "tree"


@pytest.mark.parametrize("change", CHANGES)
def test_each_difference_is_told(place, argosy, pair, change):
    if change == "owner" and os.geteuid() != 0 or change == "attribute" and not trees.has_attributes(place.root):
        pytest.skip("not possible here")
    CHANGES[change](pair[1])
    result = argosy("verify", "src/tree", "out/tree")
    assert result.code == PARTIAL and change in result.out.decode(), result
    os.utime(pair[1], ns=(0, os.stat(pair[0]).st_mtime_ns))
    lines = argosy("verify", "src/tree", "out/tree", "--json").report
    assert lines["differences"] == len(lines["lines"]) > 0
    against = argosy("verify", "--manifest", "m.json", "out")
    words = {"only in the first": "missing", "only in the second": "not in the manifest"}
    assert against.code == PARTIAL and words.get(change, change) in against.out.decode(), against


def test_a_manifest_of_what_was_in_place(place, argosy, send, pair):
    """Nothing moved the second time, and yet each content is known."""
    assert send("--save-manifest", "again.json", "src/tree", "out").report["bytes_moved"] == 0
    assert argosy("verify", "--manifest", "again.json", "out").code == 0
    _flip(pair[1] / "file")
    assert argosy("verify", "--manifest", "again.json", "out").code == PARTIAL


def test_verify_of_nothing(place, argosy, pair):
    assert argosy("verify", "src/none", "out").code == SOURCE
    assert argosy("verify", "src/tree", "out/none").code == SOURCE
    (place / "bad.json").write_text("no manifest")
    assert argosy("verify", "--manifest", "bad.json", "out").code == SOURCE
    assert argosy("verify", "src/tree").code == USAGE
    assert argosy("verify", "--nodes", "a", "b").code == USAGE
    lines = (place / "m.json").read_text().splitlines()
    (place / "bad.json").write_text("\n".join([lines[0], lines[1].replace('"path":"', '"path":"../')]) + "\n")
    assert argosy("verify", "--manifest", "bad.json", "out").code == SOURCE


DAMAGED = [
    ("digest", [None, "xxh3:00", "xxh3:g" + 31 * "0", "xxh3:" + 32 * "A", "sha256:" + 64 * "0", 5]),
    ("mode", [None, 4294967716, -1, 0o10644, "0644", 420.0]),
    ("uid", [None, -5, 2**32, "0"]),
    ("gid", [None, -1, 2**64]),
    ("size", [None, 6.9, -1, "6", 2**63 - 1, 1e300]),
    ("mtime", [None, [0, 2_000_000_000], [0, -1], [0], [0, 0, 0], [0.5, 0], 5]),
    ("type", [None, "folder", "hard link", "thing", 0]),
    ("path", [None, "", "/tree/file", "tree/../file", 5]),
    ("path_base64", ["!!", "dHJlZS9maWxl"]),
    ("link", ["elsewhere"]),
    ("device", [5]),
    ("attributes", [[], {}, [{"name": "user.a", "value": "="}], [{"name": "security.selinux", "value": ""}], [{"name": "user.a"}]]),
    ("digesT", ["xxh3:" + 32 * "0"]),
]


@pytest.mark.parametrize("key, values", DAMAGED, ids=[key for key, _ in DAMAGED])
def test_a_damaged_manifest_is_refused(place, argosy, pair, key, values):
    """Behind lines that have been compared: one exit code."""
    _flip(pair[1] / "file")
    lines = (place / "m.json").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"tree/file"' in line and '"digest"' in line)
    lines[1:-1] = [*lines[1:at], *lines[at + 1 : -1], lines[at]]
    for value in values:
        line = json.loads(lines[-2])
        line[key] = value
        if value is None:
            del line[key]
        (place / "bad.json").write_text("\n".join([*lines[:-2], json.dumps(line), lines[-1]]) + "\n")
        result = argosy("verify", "--manifest", "bad.json", "out")
        assert result.code == SOURCE and "damaged" in result.text and b"content" not in result.out, (value, result)
    (place / "bad.json").write_text("\n".join([*lines[:-2], json.dumps(json.loads(lines[-2]), indent=None), lines[-1]]) + "\n")
    assert argosy("verify", "--manifest", "bad.json", "out").code == PARTIAL


def test_files_that_have_become_one(place, argosy, send):
    tree = place.src / "tree"
    tree.mkdir()
    for name in ("i1", "i2", "i3"):
        (tree / name).write_text("the same")
        os.utime(tree / name, ns=(0, 10**18))
    assert send("--save-manifest", "m.json", "src/tree", "out").code == 0
    _kept(place.out / "tree", lambda: ((place.out / "tree/i2").unlink(), os.link(place.out / "tree/i1", place.out / "tree/i2")))
    for arguments in (("--manifest", "m.json", "out"), ("--manifest", "m.json", "out/"), ("src/tree", "out/tree")):
        result = argosy("verify", *arguments)
        assert result.code == PARTIAL and len(result.out.splitlines()) == 1, result
        assert b"i2: links: the same file as" in result.out and b"i1" in result.out, result


@pytest.mark.parametrize("broken", ["one", "three", "two"])
def test_a_broken_hard_link_is_one_line(place, argosy, send, broken):
    tree = place.src / "tree"
    tree.mkdir()
    (tree / "one").write_text("several names")
    for name in ("two", "three", "four"):
        os.link(tree / "one", tree / name)
    assert send("--save-manifest", "m.json", "src/tree", "out").code == 0
    path = place.out / "tree" / broken

    def split():
        info = os.stat(path)
        path.unlink()
        path.write_text("several names")
        os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))

    _kept(place.out / "tree", split)
    for arguments in (("--manifest", "m.json", "out"), ("src/tree", "out/tree")):
        result = argosy("verify", *arguments)
        assert result.code == PARTIAL and len(result.out.splitlines()) == 1 and b"links" in result.out, result


@pytest.mark.parametrize("size", [5, 130 * MI])
def test_two_files(place, argosy, size):
    for folder, name in (("a", "one"), ("b", "other")):
        (place / folder).mkdir()
        with open(place / folder / name, "wb") as file:
            file.truncate(size)
        os.utime(place / folder / name, ns=(0, 5))
    result = argosy("verify", "a/one", "b/other")
    assert result.code == 0 and result.out == b"", result
    with open(place / "b" / "other", "r+b") as file:
        file.seek(size - 1)
        file.write(b"x")
    os.utime(place / "b" / "other", ns=(0, 5))
    result = argosy("verify", "a/one", "b/other")
    assert result.code == PARTIAL and result.out.decode().startswith("one: content: differs from byte"), result
    assert argosy("verify", "a/one", "b/none").code == SOURCE
    assert argosy("verify", "a/one", "b").code == SOURCE


@pytest.mark.usefixtures("fault_library")
def test_what_can_not_be_read_on_one_side_is_not_on_the_other_only(place, argosy, send, pair):
    for side in ("a", "b"):
        for name in ("before", "priv/x/y", "priv0", "priv"):
            path = place / side / name
            if name != "priv":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("same")
    (place / "b" / "before0").write_text("new")
    for side in ("a", "b"):
        for name in ("priv/x/y", "priv/x", "priv", "before", "priv0", "."):
            os.utime(place / side / name, ns=(0, 10**18))
    fault = {"op": "open", "path": "priv", "fail": "EACCES", "rank": 0, "times": "1"}
    result = argosy("verify", "a", "b", fault=fault)
    assert result.code == PARTIAL and b"priv" not in result.out and b"before0: only in the second" in result.out, result
    assert "priv" in result.text, result


@pytest.mark.parametrize("ranks", [2, 3])
def test_nodes(place, argosy, bcast, tree, ranks):
    """Each rank a node of its own, and all see the same folder."""
    assert argosy("verify", "--nodes", "src/tree", ranks=ranks, env=NETWORK).code == 0


def test_the_largest_part_tells_the_first_difference(place, argosy):
    for name in "ab":
        with open(place.src / name, "wb") as file:
            file.truncate(200 * MI)
    (place / "a").mkdir(), (place / "b").mkdir()
    for name in "ab":
        os.rename(place.src / name, place / name / "file")
    with open(place / "b" / "file", "r+b") as file:
        file.seek(150 * MI + 3)
        file.write(b"x")
    result = argosy("verify", "--no-times", "a", "b", ranks=3)
    assert result.code == PARTIAL and result.out.decode() == f"file: content: differs from byte {150 * MI + 3} on\n", result


# --- verify --nodes, each rank's folder another one ------------------------------------------------------------------


@pytest.fixture
def copies(bcast, pair):
    """out/0, out/1 and out/2, each with a copy of src/tree."""
    assert bcast("--save-manifest", "copies.json", "src/tree", "out/%r", ranks=3).code == 0

    def verify(argosy, *arguments):
        return argosy("verify", *arguments, "out/%r", ranks=3)

    return verify


def test_nodes_expand_templates(place, argosy, copies):
    result = copies(argosy, "--nodes")
    assert result.code == 0 and result.out == b"" and result.lines == [], result
    assert argosy("verify", "--nodes", "out/%x", ranks=3).code == USAGE
    (place.root / "out" / "%").mkdir()
    assert argosy("verify", "--nodes", "out/%%", ranks=3, env=NETWORK).code == 0
    assert copies(argosy, "--nodes", "--json").report["differences"] == 0


@pytest.mark.parametrize("change", CHANGES)
def test_nodes_tell_each_difference(place, argosy, copies, change):
    if change == "owner" and os.geteuid() != 0 or change == "attribute" and not trees.has_attributes(place.root):
        pytest.skip("not possible here")
    root = place.out / "1" / "tree"
    CHANGES[change](root)
    os.utime(root, ns=(0, os.stat(place.src / "tree").st_mtime_ns))
    result = copies(argosy, "--nodes")
    told = {
        "only in the first": ["tree/folder: differs", "tree/folder/below: missing"],
        "only in the second": ["tree/folder/new: only"],
        "link": ["tree/link: differs"],
        "links": ["tree/two: differs"],
    }.get(change, ["tree/file: differs"])
    lines = result.out.decode().splitlines()
    assert result.code == PARTIAL and lines == [f"{one} on {HOST} (rank 1)" for one in told], result


def test_nodes_look_at_the_folder_itself(place, argosy, copies):
    os.chmod(place.out / "2", 0o700)
    result = copies(argosy, "--nodes")
    assert result.code == PARTIAL and result.out.decode() == f".: differs on {HOST} (rank 2)\n", result
    assert copies(argosy, "--nodes", "--no-mode").code == 0


def test_nodes_with_more_differences_than_a_message_holds(place, argosy):
    """So many, with so long names, that they go to rank 0 in several batches: exactly what differs is told."""
    count = 3000
    for rank in range(3):
        folder = place.out / str(rank) / "folder"
        folder.mkdir(parents=True)
        for number in range(count):
            if rank == 1 and number % 3 == 0:
                continue
            path = folder / f"{number:05}{'x' * 200}"
            path.write_bytes(b"2" if rank == 2 and number % 5 == 0 else b"1")
            os.utime(path, ns=(0, 0))
        os.utime(folder, ns=(0, 0))
    result = argosy("verify", "--nodes", "out/%r", ranks=3)
    expected = []
    for number in range(count):
        name = f"folder/{number:05}{'x' * 200}"
        # Where all three differ the first is what is usual.
        if number % 3 == 0:
            expected.append(f"{name}: missing on {HOST} (rank 1)")
        if number % 5 == 0:
            expected.append(f"{name}: differs on {HOST} (rank 2)")
    assert result.code == PARTIAL and result.out.decode().splitlines() == expected, result.lines


def test_nodes_without_the_folder(place, argosy, copies):
    """One error, and no line for what can't be known."""
    os.rename(place.out / "1", place.out / "gone")
    result = copies(argosy, "--nodes")
    assert result.code == PARTIAL and result.out == b"" and len(result.lines) == 1, result
    assert "out/1" in result.text and "rank 1" in result.text, result


# --- saved manifests -------------------------------------------------------------------------------------------------


def test_a_manifest_beside_each_copy(place, argosy, copies):
    result = copies(argosy, "--manifest", "copies.json")
    assert result.code == 0 and result.out == b"", result
    _flip(place.out / "0" / "tree" / "file")
    _flip(place.out / "2" / "tree" / "file")
    _new(place.out / "1" / "tree" / "folder")
    result = copies(argosy, "--manifest", "copies.json")
    assert result.code == PARTIAL and sorted(result.out.decode().splitlines()) == [
        f"tree/file: content: differs on {HOST} (rank 0)",
        f"tree/file: content: differs on {HOST} (rank 2)",
        f"tree/folder/new: not in the manifest on {HOST} (rank 1)",
    ], result
    os.rename(place.out / "1", place.out / "gone")
    result = copies(argosy, "--manifest", "copies.json")
    assert result.code == PARTIAL and len(result.lines) == 1 and "out/1" in result.text, result


def test_a_folder_that_is_not_there_is_told_once(argosy, pair):
    for arguments in (("--manifest", "m.json", "none"), ("src/tree", "none"), ("none", "src/tree")):
        result = argosy("verify", *arguments, ranks=3)
        assert result.code == SOURCE and len(result.lines) == 1, result


def test_a_manifest_without_its_end_is_refused(place, argosy, pair):
    whole = (place / "m.json").read_bytes()
    assert argosy("verify", "--manifest", "m.json", "out").code == 0
    lines = whole.splitlines(keepends=True)
    for text, word in (
        (b"".join(lines[:-1]), "end is missing"),
        (whole[:-1], "end is missing"),
        (whole[: len(whole) // 2], "end is missing"),
        (b"".join(lines[:-2] + lines[-1:]), "lines are missing"),
        (b"", "no manifest"),
    ):
        (place / "bad.json").write_bytes(text)
        result = argosy("verify", "--manifest", "bad.json", "out")
        assert result.code == SOURCE and word in result.text and "Success" not in result.text, result
        if word != "lines are missing":
            assert result.code == SOURCE and result.out == b"", result


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_attributes_of_links_are_compared(place, argosy, copies):
    shutil.copytree(place.out / "0" / "tree", place / "again", symlinks=True)
    for link in (place.out / "0" / "tree" / "link", place / "again" / "link"):
        try:
            os.setxattr(link, "trusted.a", b"1", follow_symlinks=False)
        except OSError:
            pytest.skip("links have no attributes here")
    os.setxattr(place / "again" / "link", "trusted.a", b"2", follow_symlinks=False)
    result = argosy("verify", "--no-times", "out/0/tree", "again")
    assert b"link: attribute: trusted.a differs" in result.out, result
    result = copies(argosy, "--nodes")
    assert result.out.decode() == f"tree/link: differs on {HOST} (rank 0)\n", result


# --- memory, and what has no size ------------------------------------------------------------------------------------


def test_a_file_without_a_size_is_read_to_its_end(place, argosy, send):
    text = open("/proc/version", "rb").read()
    (place.src / "copy").write_bytes(text)
    expected = argosy("digest", "src/copy").out.split()[0]
    result = argosy("digest", "--json", "/proc/version")
    assert result.report["lines"][0]["text"].split()[0].encode() == expected, result
    assert result.report["bytes"] == len(text)
    sha = argosy("digest", "--sha256", "/proc/version")
    assert sha.out.split()[0].decode() == hashlib.sha256(text).hexdigest(), sha


@pytest.mark.parametrize("launch", WAYS, ids=repr)
def test_what_is_listed_is_one_document(place, argosy, launch):
    folder = place.src / "many"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number}").write_bytes(b"")
    (folder / os.fsdecode(b"\xff")).write_bytes(b"")
    for arguments, key in (
        (("digest", "src/many"), "lines"),
        (("send", "--dry-run", "src/many", "out"), "names"),
        (("send", "--dry-run", "--from", "1", "--to", "0", "src/many", "out"), "names"),
        (("verify", "src/many", "src/empty"), "lines"),
    ):
        (place.src / "empty").mkdir(exist_ok=True)
        report = argosy(*arguments, "--json", launch=launch, ranks=2).report
        assert len(report[key]) in (3001, 3002) and "errors" in report, report
        plain = argosy(*arguments, launch=launch, ranks=2)
        assert len(plain.out.splitlines()) in (3001, 3002, 3003), plain
    assert report["differences"] == len(report["lines"])
    result = argosy("send", "--dry-run", "src/many", "out", launch=launch, ranks=2)
    assert result.out.endswith(b"3002 would change; nothing was moved\n"), result.out[-100:]
    assert argosy("send", "--dry-run", "-q", "src/many", "out", launch=launch, ranks=2).out == b""


@pytest.mark.usefixtures("fault_library")
def test_failures_beyond_what_is_kept_are_counted(place, send):
    folder = place.src / "many"
    folder.mkdir()
    for number in range(1500):
        (folder / f"{number}").write_bytes(b"x")
    (place.out / "many").mkdir(parents=True)
    result = send("src/many", "out", fault={"op": "write", "path": "/out/many/", "fail": "EIO", "times": "all"})
    total = result.report["errors_total"]
    assert total >= 1500 and len(result.errors) == 1000, total
    assert f"and {total - 20} more" in result.text, result


def test_what_a_damaged_manifest_does_not_name(place, argosy, bcast):
    """From where it is damaged nobody knows what it named: nothing is said of what it does not name."""
    (place.src / "many").mkdir()
    for number in range(5000):
        (place.src / "many" / f"{number:04}").touch()
    assert bcast("--save-manifest", "m.json", "src/many", "out/%r", ranks=2, one_node=True).code == 0
    lines = (place / "m.json").read_bytes().splitlines(keepends=True)
    (place / "bad.json").write_bytes(b"".join(lines[:4500] + [b"{}\n"] + lines[4501:]))
    (place.out / "0" / "many" / "4400").chmod(0o600)
    for folder in ("out/%r", "out/0"):
        result = argosy("verify", "--manifest", "bad.json", folder, ranks=2)
        assert result.code in (SOURCE, PARTIAL) and b"not in the manifest" not in result.out, result
        assert result.out.startswith(b"many/4400: mode") and result.out.count(b"\n") == 1, result
        assert len(result.lines) == 1 and "damaged" in result.text, result


# --- interrupted -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fault_library")
@pytest.mark.parametrize("words", [("digest",), ("digest", "--sha256"), ("verify", "src/tree")], ids=" ".join)
def test_an_interrupt_is_told_once(place, start, words):
    """And not once more for each file that it cut short."""
    for name in ("tree", "same"):
        (place.src / name).mkdir()
        for number in range(300):
            (place.src / name / f"{number}").write_bytes(data_of(5000, number))
    job = start(*words, "--json", "--progress", "none", "src/same", ranks=2,
                fault={"op": "read", "path": "/src/same/", "mark": place / "held", "wait": place / "go"})  # fmt: skip
    until((place / "held").exists, 20, "the first read")
    for rank in range(2):
        os.kill(job.rank(rank).pid, signal.SIGINT)
    (place / "go").touch()
    result = job.wait(20)
    assert result.code == 130 and result.report["errors"] == [] and result.report["errors_total"] == 0, result
    assert len(result.report["lines"]) < 300, result
