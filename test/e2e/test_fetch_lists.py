"""Lists, names and checksums of `argosy fetch`."""

import hashlib
import os
import shutil
from urllib.parse import quote

import pytest
from fetching import BIG, FILES, ORIGIN, metalink, same, sha256
from harness import INTEGRITY, MI, PARTIAL, USAGE, data_of


def test_a_list(fetch, origin, place):
    (place / "list").write_text(
        f"# a comment\n\n{origin.url}/file/s1\n{origin.url}/file/s2  two.bin\n"
        f"{origin.url}/file/s3  three.bin  sha256:{sha256('s3')}\n{origin.url}/file/s4 sha256:{sha256('s4').upper()}\n"
    )
    result = fetch("-i", place / "list", place.out)
    assert result.code == 0, result
    assert sorted(os.listdir(place.out)) == ["s1", "s4", "three.bin", "two.bin"]
    same(place.out / "two.bin", "s2")


def test_a_list_from_standard_input(fetch, origin, place):
    text = "".join(f"{origin.url}/file/s{i} copy{i}\n" for i in range(12)).encode()
    result = fetch("-i", "-", place.out, stdin=text, ranks=3)
    assert result.code == 0 and len(os.listdir(place.out)) == 12, result


@pytest.mark.parametrize("line", ["nothing", "http://h/x a/b", "http://h/x sha256:12", "ftp://h/x", "http://h/x n more"])
def test_a_wrong_list(fetch, place, line):
    (place / "list").write_text("http://127.0.0.1:1/a\n" + line + "\n")
    result = fetch("-i", place / "list", place.out)
    assert result.code == USAGE and "line 2" in result.text and not place.out.exists(), result


def test_wrong_checksums(fetch, origin, place):
    result = fetch("--sha256", sha256("s1"), f"{origin.url}/file/s2", place.out)
    assert result.code == INTEGRITY and not place.out.exists(), result
    assert sha256("s1") in result.text and sha256("s2") in result.text
    assert fetch("--sha256", sha256("s2"), f"{origin.url}/file/s2", place.out).code == 0
    # What the origin says of itself, with a stronger checksum too, is no answer to what the user wants.
    result = fetch("--sha256", sha256("s1"), f"{origin.url}/digest/s3", place / "strong")
    assert result.code == INTEGRITY and not (place / "strong/s3").exists(), result
    (place / "list").write_text(f"{origin.url}/file/s1 sha256:{sha256('s2')}\n{origin.url}/file/s3\n")
    result = fetch("--to", "all", "-i", place / "list", str(place.out) + "-%r", ranks=2)
    assert result.code == PARTIAL and len(result.errors) == 1, result
    assert os.listdir(place / "out-1") == ["s3"]


@pytest.mark.parametrize("kind", ["digest", "baddigest", "badcontent"])
@pytest.mark.parametrize("name", ["mid", "big.bin"])
def test_digests_of_the_origin(fetch, origin, place, kind, name):
    result = fetch("--retries", "1", f"{origin.url}/{kind}/{name}", place.out)
    if kind == "digest":
        assert result.code == 0, result
        same(place.out / name, name)
    else:
        assert result.code in (INTEGRITY, ORIGIN) and not place.out.exists(), result


def test_metalink_and_its_mirrors(fetch, origin, place):
    origin.files["bad.bin"] = FILES["big.bin"][:-1] + b"?"
    urls = [f"{origin.url}/status/404", "ftp://old/x", f"{origin.url}/file/bad.bin", f"{origin.url}/file/big.bin"]
    (place / "x.meta4").write_text(metalink("model.bin", urls))
    result = fetch("-i", place / "x.meta4", place.out, ranks=3)
    assert result.code == 0 and result.report["errors"] == [], result
    same(place.out / "model.bin", "big.bin")


def test_metalink_with_wrong_pieces(fetch, origin, place):
    other = data_of(BIG, seed=77)
    pieces = "".join(f"<hash>{hashlib.sha256(other[at:at + MI]).hexdigest()}</hash>" for at in range(0, BIG, MI))
    (place / "x.meta4").write_text(metalink("../../model.bin", [f"{origin.url}/file/big.bin"], pieces=pieces))
    result = fetch("-i", place / "x.meta4", place.out)
    assert result.code == INTEGRITY and "bytes 0 to" in result.text and not place.out.exists(), result


@pytest.mark.parametrize("text", ["<metalink/>", "<a>", "<html></html>", metalink("x", ["ftp://h/x"])])
def test_no_metalink(fetch, place, text):
    (place / "x.meta4").write_text(text)
    assert fetch("-i", place / "x.meta4", place.out).code == USAGE


@pytest.mark.parametrize(
    "proposed, name",
    [
        ('attachment; filename="right.bin"', "right.bin"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename=..", "index.html"),
        ('attachment; filename="a\\\\b.bin"', "b.bin"),
        ('attachment; filename=".bashrc"', "_bashrc"),
        ("attachment; filename=x; filename*=UTF-8''na%C3%AFve%20one.txt", "naïve one.txt"),
        ("attachment; filename*=UTF-8''%2Fetc%2Fshadow", "shadow"),
        ("inline", "s1"),
        ("attachment; filename*=UTF-8''a%C2%9B%E2%80%AEb", "a__b"),
        ('attachment; filename="' + "n" * 300 + '.bin"', "n" * 251 + ".bin"),
    ],
)
def test_names_of_the_origin_are_made_safe(fetch, origin, place, proposed, name):
    result = fetch(f"{origin.url}/name/{quote(proposed, safe='')}/s1", place.out)
    assert result.code == 0 and os.listdir(place.out) == [name], (result, os.listdir(place.out))
    same(place.out / name, "s1")


def test_clashes(fetch, origin, place):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/file/s1?again"]
    result = fetch(*urls, place.out)
    assert result.code == USAGE and "s1" in result.text and not place.out.exists(), result
    result = fetch("--rename", *urls, place.out)
    assert result.code == 0 and sorted(os.listdir(place.out)) == ["s1", "s1.1"], result


def test_a_clash_that_only_the_answers_show(fetch, origin, place):
    urls = [f"{origin.url}/name/attachment%3B%20filename%3Dsame/{name}" for name in ("s1", "s2")]
    result = fetch(*urls, place.out)
    assert result.code == PARTIAL and os.listdir(place.out) == ["same"], result
    shutil.rmtree(place.out)
    result = fetch("--rename", *urls, place.out)
    assert result.code == 0 and sorted(os.listdir(place.out)) == ["same", "same.1"], result


def test_a_byte_order_mark(fetch, origin, place):
    (place / "list").write_bytes(b"\xef\xbb\xbf" + f"{origin.url}/file/s1\r\n{origin.url}/file/s2\r\n".encode())
    result = fetch("-i", place / "list", place.out)
    assert result.code == 0 and sorted(os.listdir(place.out)) == ["s1", "s2"], result


@pytest.mark.parametrize("url", ["http:/ali:babasecret@h/x", "ali:babasecret@h", "http://ali:baba/secret@h/x", "ftp://ali:babasecret@h/"])
def test_passwords_of_what_is_no_address_are_not_printed(fetch, place, url):
    result = fetch(url, place.out)
    assert result.code == USAGE and "secret" not in result.text + result.out.decode(), result
    (place / "list").write_text(url + "\n")
    result = fetch("-i", place / "list", place.out)
    assert result.code == USAGE and "secret" not in result.text + result.out.decode(), result
