"""Where --save-manifest writes: beside FILE and then in its place, and never over anything else."""

import os
import stat

import pytest
from harness import DESTINATION, MI, PARTIAL, leftovers

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


def test_nowhere(place, save):
    (place / "folder").mkdir()
    for name in ("folder", "none/m"):
        assert save(name).code == DESTINATION
