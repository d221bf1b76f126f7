"""digest, verify and saved manifests."""

import hashlib
import os
import subprocess

import pytest
import trees
from harness import DESTINATION, KI, MI, NETWORK, PARTIAL, SELF, SOURCE, UNDER, USAGE, data_of

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
