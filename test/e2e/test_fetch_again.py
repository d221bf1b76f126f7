"""`argosy fetch` of what is in place already, or was."""

import hashlib
import os

import pytest
from fetching import BIG, FILES, metalink, same, sha256
from harness import DESTINATION, INTEGRITY, KI, data_of, mounted


def test_again_nothing_moves(fetch, origin, place):
    urls = [f"{origin.url}/file/big.bin", f"{origin.url}/file/mid"]
    assert fetch(*urls, place.out).code == 0
    etag = os.getxattr(place.out / "mid", "user.argosy.etag")
    assert etag == b'"' + hashlib.md5(FILES["mid"]).hexdigest().encode() + b'"'
    before = origin.body_bytes
    again = fetch(*urls, place.out)
    assert again.code == 0 and again.report["bytes_moved"] == 0 and again.report["files"] == 2, again
    assert origin.body_bytes == before


def test_again_after_a_change_at_the_origin(fetch, origin, place):
    assert fetch(f"{origin.url}/file/mid", place.out).code == 0
    origin.files["mid"] = data_of(500 * KI, seed=5)
    assert fetch(f"{origin.url}/file/mid", place.out).report["bytes_moved"] == 500 * KI
    assert (place.out / "mid").read_bytes() == origin.files["mid"]


def test_again_after_a_change_here(fetch, origin, place):
    assert fetch(f"{origin.url}/file/mid", place.out).code == 0
    with open(place.out / "mid", "ab") as file:
        file.write(b"!")
    assert fetch(f"{origin.url}/file/mid", place.out).report["bytes_moved"] == len(FILES["mid"])
    same(place.out / "mid", "mid")


def test_again_where_one_node_lacks_it(fetch, origin, place):
    arguments = ("--to", "all", f"{origin.url}/file/mid", str(place.out) + "-%r")
    assert fetch(*arguments, ranks=2).code == 0
    (place / "out-1" / "mid").unlink()
    assert fetch(*arguments, ranks=2).report["bytes_moved"] == len(FILES["mid"])
    same(place / "out-1" / "mid", "mid")
    assert fetch(*arguments, ranks=2).report["bytes_moved"] == 0


def test_without_attributes_the_etag_lies_beside(fetch, origin, place, mounts):
    """ramfs has no user attributes."""
    with mounted(place.out, "-t", "ramfs", "argosy-test"):
        assert fetch(f"{origin.url}/file/mid", place.out).code == 0
        if "user.argosy.etag" in os.listxattr(place.out / "mid"):
            pytest.skip("this ramfs has attributes")
        assert [name for name in os.listdir(place.out) if name.startswith(".etag-")]
        assert fetch(f"{origin.url}/file/mid", place.out).report["bytes_moved"] == 0


def replace(path, data):
    """Other bytes, and nothing else that could be seen."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_is_in_place_must_be_what_is_wanted(fetch, origin, place):
    url = f"{origin.url}/file/s1"
    assert fetch(url, place.out).code == 0
    replace(place.out / "s1", FILES["s2"])
    assert fetch(url, place.out).report["bytes_moved"] == 0, "nobody can see this"
    result = fetch("--sha256", sha256("s1"), url, place.out)
    assert result.code == 0 and result.report["bytes_moved"] == 16 * KI, result
    same(place.out / "s1", "s1")
    assert fetch("--sha256", sha256("s1"), url, place.out).report["bytes_moved"] == 0
    result = fetch("--sha256", sha256("s2"), url, place.out)
    assert result.code == INTEGRITY and sha256("s2") in result.text, result
    same(place.out / "s1", "s1")
    (place / "list").write_text(f"{url} sha256:{sha256('s2')}\n")
    assert fetch("-i", place / "list", place.out).code == INTEGRITY


def test_a_metalinks_pieces_hold_for_what_is_in_place(fetch, origin, place):
    (place / "x.meta4").write_text(metalink("big.bin", [f"{origin.url}/file/big.bin"]))
    assert fetch("-i", place / "x.meta4", place.out).code == 0
    assert fetch("-i", place / "x.meta4", place.out).report["bytes_moved"] == 0
    replace(place.out / "big.bin", b"?")
    assert fetch("-i", place / "x.meta4", place.out).report["bytes_moved"] == BIG
    same(place.out / "big.bin", "big.bin")


def test_another_address_with_the_same_etag_is_another_object(fetch, origin, place):
    def list_of(name):
        (place / "list").write_text(f"{origin.url}/same/{name} x\n")
        return place / "list"

    assert fetch("-i", list_of("s1"), place.out).code == 0
    assert fetch("-i", list_of("s1"), place.out).report["bytes_moved"] == 0
    assert fetch("-i", list_of("s2"), place.out).report["bytes_moved"] == 16 * KI
    same(place.out / "x", "s2")


def test_again_after_a_change_of_the_same_length(fetch, origin, place):
    url = f"{origin.url}/file/s1"
    assert fetch(url, place.out).code == 0
    (place.out / "s1").touch()
    assert fetch(url, place.out).report["bytes_moved"] == 0, "another time, and the same bytes"
    with open(place.out / "s1", "r+b") as file:
        file.write(b"changed")
    assert fetch(url, place.out).report["bytes_moved"] == 16 * KI
    same(place.out / "s1", "s1")


@pytest.mark.parametrize("name", ["s1", "big.bin", "empty"])
def test_an_origin_that_does_not_look_at_if_none_match(fetch, origin, place, name):
    url = f"{origin.url}/ignoring/{name}"
    assert fetch(url, place.out).code == 0
    inode = (place.out / name).stat().st_ino
    again = fetch(url, place.out, ranks=2)
    assert again.code == 0 and again.report["bytes_moved"] == 0 and again.report["in_place"] == 1, again
    assert (place.out / name).stat().st_ino == inode


def test_an_empty_file_is_fetched_once(argosy, origin, place):
    words = ("fetch", f"{origin.url}/file/empty", place.out)
    first, second = argosy(*words), argosy(*words)
    assert b"in place" not in first.out and b"already in place" in second.out, (first, second)


@pytest.mark.parametrize("to", ["0", "all"])
def test_names_of_the_origin_again(fetch, origin, place, to):
    url = f"{origin.url}/name/attachment%3B%20filename%3Dright.bin/mid"
    arguments = ("--to", to, url, str(place.out) + "-%r")
    assert fetch(*arguments, ranks=2).code == 0
    again = fetch(*arguments, ranks=2)
    assert again.code == 0 and again.report["bytes_moved"] == 0, again
    assert os.listdir(place / "out-0") == ["right.bin"]
    origin.files["mid"] = data_of(500 * KI, seed=5)
    assert fetch(*arguments, ranks=2).report["bytes_moved"] == 500 * KI
    assert (place / "out-0/right.bin").read_bytes() == origin.files["mid"]


def test_an_origin_does_not_choose_to_replace_what_is_mine(fetch, origin, place):
    place.out.mkdir()
    (place.out / "mine").write_text("important")
    url = f"{origin.url}/name/attachment%3B%20filename%3Dmine/big.bin"
    result = fetch(url, place.out, ranks=2)
    assert result.code == DESTINATION and "mine" in result.text and "--rename" in result.text, result
    assert (place.out / "mine").read_text() == "important" and os.listdir(place.out) == ["mine"]
    result = fetch("--rename", url, place.out, ranks=2)
    assert result.code == 0 and sorted(os.listdir(place.out)) == ["mine", "mine.1"], result
    same(place.out / "mine.1", "big.bin")
    assert (place.out / "mine").read_text() == "important"
