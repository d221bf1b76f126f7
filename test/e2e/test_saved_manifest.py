"""--save-manifest of every transfer: `verify --manifest` finds each byte that changes afterwards. And where it writes: beside
FILE and then in its place, and never over anything else."""

import os
import signal
import stat

import pytest
import trees
from harness import DESTINATION, MI, NETWORK, PARTIAL, SOURCE, USAGE, data_of, leftovers, until

HEAD = b'{"argosy_manifest":1}\n'


@pytest.fixture
def save(place, send):
    (place.src / "tree").mkdir()
    (place.src / "tree" / "file").write_text("file")

    def save(where, **options):
        return send("--save-manifest", where, "src/tree", "out", **options)

    return save


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a device")
def test_a_device_stays_a_device(place, save):
    for name, minor, code in (("null", 3, 0), ("full", 7, PARTIAL)):
        try:
            os.mknod(place / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            open(place / name, "rb").close()
        except PermissionError:
            pytest.skip("no devices here")
        assert save(name).code == code
        info = os.lstat(place / name)
        assert stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(1, minor)


def test_what_stands_beside_it_stays(place, save):
    (place / "m.new").write_text("mine")
    (place / "victim").write_text("mine")
    (place / "n.new").symlink_to("victim")
    for name in "mn":
        assert save(name).code == 0
        assert (place / name).read_bytes().startswith(HEAD)
    assert (place / "m.new").read_text() == "mine" == (place / "victim").read_text()
    assert (place / "n.new").is_symlink()


def test_a_link_is_followed_and_the_mode_stays(place, save):
    (place / "real").write_text("old")
    (place / "real").chmod(0o600)
    (place / "link").symlink_to("real")
    assert save("link").code == 0
    assert (place / "link").is_symlink() and (place / "real").read_bytes().startswith(HEAD)
    assert stat.S_IMODE(os.stat(place / "real").st_mode) == 0o600
    (place / "dangling").symlink_to("new one")
    assert save("dangling").code == 0
    assert (place / "dangling").is_symlink() and (place / "new one").read_bytes().startswith(HEAD)


def test_a_pipe(place, save, start):
    os.mkfifo(place / "pipe")
    reader = os.open(place / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert save("pipe").code == 0
        assert os.read(reader, MI).startswith(HEAD)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.lstat(place / "pipe").st_mode)


@pytest.mark.usefixtures("fault_library")
def test_a_full_disk_leaves_the_old_one(place, save):
    (place / "m").write_text("old")
    result = save("m", fault={"op": "write", "rank": 0, "path": ".get", "fail": "ENOSPC", "times": "all"})
    assert result.code == PARTIAL and "No space left" in result.text, result
    assert (place / "m").read_text() == "old" and not leftovers(place.root)
    assert (place.out / "tree" / "file").read_text() == "file"


@pytest.mark.usefixtures("fault_library")
def test_what_is_in_place_and_can_not_be_read(place, save, argosy):
    """It is not in the manifest, and that is told; the rest is."""
    for number in range(3):
        (place.src / "tree" / str(number)).write_bytes(b"x" * (number * MI + 1))
    assert save("m").code == 0
    whole = (place / "m").read_bytes()
    for name in ("0", "2"):
        result = save("m", fault={"op": "read", "rank": 0, "path": f"/src/tree/{name}", "fail": "EIO", "times": "all"})
        assert result.code == PARTIAL and result.report["bytes_moved"] == 0, result
        assert [error["path"] for error in result.errors] == [f"src/tree/{name}"] and "manifest" in result.errors[0]["message"], result
        assert (place / "m").read_bytes().count(b'"digest"') == whole.count(b'"digest"') - 1
        told = argosy("verify", "--manifest", "m", "out")
        assert told.out.decode() == f"tree/{name}: not in the manifest\n", told


@pytest.mark.allow_leftovers
def test_an_interrupted_run_leaves_the_old_one(place, start):
    place.file(size=8 * MI)
    (place / "m").write_text("old")
    job = start("send", "--save-manifest", "m", "--bwlimit", "2Mi", "--chunk-size", "256Ki", "src/big.bin", "out", env=NETWORK)
    until(lambda: leftovers(place.out), 20, "a part")
    job.signal(signal.SIGINT)
    assert job.wait(10).code == 130
    assert (place / "m").read_text() == "old" and not [name for name in os.listdir(place.root) if name.startswith(".argosy")]


@pytest.mark.usefixtures("fault_library")
def test_nothing_arrived(place, send):
    """There is nothing to tell of."""
    place.file(size=3 * MI)
    (place / "m").write_text("old")
    for fault in ({"op": "write", "rank": 1, "path": "/out/", "fail": "ENOSPC"}, {"op": "read", "rank": 0, "path": "/src/", "fail": "EIO"}):
        result = send("--save-manifest", "m", "src/big.bin", "out", fault={**fault, "times": "all"})
        assert result.code in (SOURCE, DESTINATION), result
        assert (place / "m").read_text() == "old" and not leftovers(place.root)


def test_nowhere(place, save):
    (place / "folder").mkdir()
    for name in ("folder", "none/m"):
        assert save(name).code == DESTINATION


# --- of every transfer -----------------------------------------------------------------------------------------------


@pytest.fixture
def saving(argosy):
    def saving(command, *arguments, **options):
        words = [str(word) for word in arguments]
        return argosy(command, "--json", "--progress", "none", "--save-manifest", "m", *words, **{"ranks": 3, **options})

    return saving


@pytest.fixture
def nasty(place):
    trees.nasty(place.src / "nasty", deep=60, many=1100)
    (place.src / "nasty" / "large").write_bytes(data_of(3 * MI + 17))
    yield place.src / "nasty"
    for one in place.root.iterdir():
        trees.remove(one)


def holds(place, argosy, folder, *damaged):
    """The manifest is whole and agrees with `folder`, until a byte of one of these files changes."""
    result = argosy("verify", "--manifest", "m", folder)
    assert result.code == 0 and result.out == b"", result
    assert not leftovers(place.root)
    for name in damaged:
        path = place / folder / name
        info = os.stat(path)
        flip = bytearray(path.read_bytes())
        flip[len(flip) // 2] ^= 1
        path.write_bytes(flip)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
        result = argosy("verify", "--manifest", "m", folder)
        assert result.code == PARTIAL and result.out.decode() == f"{name}: content: differs\n", result
        flip[len(flip) // 2] ^= 1
        path.write_bytes(flip)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("chunk", ["1000", "64KiB"])
def test_what_is_scattered(place, argosy, saving, nasty, chunk):
    """As it was at the source: a file and a folder, striped and gathered again."""
    place.file(size=700_001)
    assert saving("scatter", "--chunk-size", chunk, "src/nasty", "src/big.bin", "w%r").code == 0
    saved = (place / "m").read_bytes()
    place.out.mkdir()
    for name in ("nasty", "big.bin"):
        assert argosy("gather", f"w%r/{name}", f"out/{name}", ranks=3).code == 0
    holds(place, argosy, "out", "nasty/large", "big.bin")
    assert (place / "m").read_bytes() == saved


def test_what_comes_through_standard_input_is_scattered(place, argosy, saving):
    assert saving("scatter", "--as", "name", "-", "w%r", stdin=data_of(300_000)).code == 0
    assert argosy("gather", "w%r/name", "out/name", ranks=3).code == 0
    holds(place, argosy, "out", "name")


@pytest.mark.usefixtures("fault_library")
def test_what_is_scattered_twice_has_its_lines_once(place, argosy, saving, nasty):
    """Where a worker can't put its share in place the folder is dealt again from its beginning, and so is its manifest."""
    fault = {"op": "rename", "rank": 2, "path": "nasty.argosy", "fail": "ENOSPC"}
    result = saving("scatter", "--parity", 1, "src/nasty", "w%r", ranks=4, fault=fault)
    assert result.code == 0 and any(one["errno"] for one in result.report["stripe"]["receipts"]), result
    assert argosy("gather", "w%r/nasty", "out/nasty", ranks=4).code == 0
    holds(place, argosy, "out", "nasty/large")


def test_a_folder_that_is_gathered(place, argosy, saving, nasty):
    """A new one, and one that is added to, of which nothing has to be written."""
    assert argosy("scatter", "src/nasty", "w%r", ranks=3).code == 0
    for _ in range(2):
        assert saving("gather", "w%r/nasty", "back/other name", "--to", 1).code == 0
        holds(place, argosy, "back", "other name/large")
        (place / "m").unlink()


@pytest.mark.parametrize("chunk", ["1000", "256KiB"])
def test_a_file_that_is_gathered(place, argosy, saving, chunk):
    place.file(size=700_001, mode=0o640, mtime_ns=10**18 + 5)
    assert argosy("scatter", "--chunk-size", chunk, "src/big.bin", "w%r", ranks=3).code == 0
    assert saving("gather", "w%r/big.bin", "back/file").code == 0
    holds(place, argosy, "back", "file")
    assert saving("gather", "--range", "1000:200000", "w%r/big.bin", "back/part").code == 0
    holds(place, argosy, "back", "part")
    os.utime(place / "back" / "part", ns=(0, 0))
    assert b"mtime" in argosy("verify", "--manifest", "m", "back").out


@pytest.mark.parametrize("command", [("gather", "w%r/big.bin", "new/file"), ("gather", "--concat", "src", "new")], ids=" ".join)
def test_in_the_folder_that_it_tells_of(place, argosy, run, command):
    """Which is made for it."""
    place.file(size=1000)
    assert argosy("scatter", "src/big.bin", "w%r", ranks=3).code == 0
    result = run(*command, "--save-manifest", "new/m", ranks=3)
    assert result.code == 0, result
    result = argosy("verify", "--manifest", "new/m", "new")
    assert result.code == 0 and result.out == b"", result


@pytest.mark.parametrize("more", [[], ["--publish"], ["--fsync"], ["--checksum"]], ids="".join)
@pytest.mark.parametrize("out, folder, prefix", [("out", "out", ""), ("out/%r", "out", "1/"), ("out/of %r/", "out", "of 1/")])
def test_what_is_put_together(place, argosy, saving, nasty, more, out, folder, prefix):
    """What several have, what is in place, and what was never a file."""
    (place.src / "1").mkdir()
    nasty.rename(place.src / "1" / "nasty")
    for rank in (0, 2):
        (place.src / str(rank) / "common").mkdir(parents=True)
        (place.src / str(rank) / "common" / f"f{rank}").write_bytes(b"f" * rank)
    os.utime(place.src / "2" / "common", ns=(0, 17))
    result = saving("gather", "--concat", *more, "src/%r", out, "--to", 2)
    assert result.code == 0, result
    holds(place, argosy, folder, prefix + "nasty/large")
    if more == ["--publish"] and out == "out":
        return
    again = saving("gather", "--concat", *more, "src/%r", out, "--to", 2)
    assert again.report["bytes_moved"] == 0 and again.code == 0, again
    holds(place, argosy, folder, prefix + "nasty/large")


def test_what_could_not_be_put_together(place, argosy, saving):
    for rank in range(2):
        (place.src / str(rank)).mkdir()
        for name in ("both", f"own{rank}"):
            (place.src / str(rank) / name).write_bytes(b"%d" % rank)
    result = saving("gather", "--concat", "src/%r", "out", ranks=2)
    assert result.code == PARTIAL and sorted(os.listdir(place.out)) == ["own0", "own1"], result
    holds(place, argosy, "out", "own0", "own1")
    (place / "m").unlink()
    assert saving("gather", "--concat", "--dry-run", "src/%r", "out", ranks=2).report["would_change"] == 0
    assert saving("gather", "--concat", "none/%r", "out", ranks=2).code != 0
    assert not (place / "m").exists()


@pytest.mark.parametrize("to, ranks, folder", [("0", 2, "out"), ("1", 2, "out"), ("all", 3, "out/0")])
def test_what_is_fetched(place, argosy, origin, fetch, to, ranks, folder):
    """What had to be fetched and what was in place, and what could not be had."""
    out = "out/%r" if to == "all" else "out"
    urls = [f"{origin.url}/file/{name}" for name in ("big.bin", "one", "empty")]
    assert fetch("--to", to, urls[0], out, ranks=ranks).code == 0
    result = fetch("--save-manifest", "m", "--to", to, *urls, f"{origin.url}/file/none", out, ranks=ranks)
    assert result.code == PARTIAL and result.report["files"] == 3, result
    holds(place, argosy, folder, "big.bin", "one")
    result = fetch("--save-manifest", "m", "--to", to, *urls, out, ranks=ranks)
    assert result.code == 0 and result.report["bytes_moved"] == 0, result
    holds(place, argosy, folder, "big.bin", "one")
    (place / "m").write_text("old")
    assert fetch("--save-manifest", "m", f"{origin.url}/file/none", "other", ranks=ranks).code != 0
    assert (place / "m").read_text() == "old"


def test_standard_output_has_no_manifest(argosy):
    result = argosy("fetch", "--stdout", "--save-manifest", "m", "http://127.0.0.1:1/x")
    assert result.code == USAGE and "--save-manifest" in result.text, result


@pytest.mark.parametrize("command", [("scatter", "src/big.bin", "w%r"), ("gather", "--concat", "src", "out")], ids=lambda one: one[0])
def test_nowhere_is_told_before_anything_moves(place, saving, command):
    place.file(size=MI)
    (place / "m").mkdir()
    assert saving(*command, ranks=2).code == DESTINATION
    assert sorted(os.listdir(place.root)) == ["m", "src"]
