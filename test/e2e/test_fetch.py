"""`argosy fetch` from an origin that behaves, one that does not, nginx and httpbin, on this machine."""

import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time

import pytest
from harness import DESTINATION, INTEGRITY, KI, MI, NETWORK, PARTIAL, UNDER, USAGE, data_of, mounted, until
from hostile_origin import Origin

ORIGIN = 7
BIG = 9 * MI + 12345
FILES = {f"s{i}": data_of(16 * KI, seed=i) for i in range(12)} | {
    "big.bin": data_of(BIG), "empty": b"", "one": b"x", "mid": data_of(600 * KI + 7, seed=99)
}


@pytest.fixture
def origin():
    with Origin(dict(FILES)) as one:
        yield one


@pytest.fixture
def fetch(argosy):
    """Every rank a node of its own, with `--json`; checks the report's exit against the program's."""

    def run(*arguments, one_node=False, env=None, **options):
        nodes = {} if one_node else NETWORK
        result = argosy("fetch", "--json", "--progress", "none", *arguments, env=dict(nodes, **(env or {})), **options)
        if result.out.strip():
            assert result.report["exit"] == result.code, result
        return result

    return run


def same(path, name):
    assert path.read_bytes() == FILES[name], f"{path} is not {name}"


# --- to a folder ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", ["big.bin", "mid", "one", "empty"])
def test_one_object(fetch, origin, place, ranks, name):
    result = fetch(f"{origin.url}/file/{name}", place.out, ranks=ranks)
    assert result.code == 0, result
    same(place.out / name, name)
    assert [path.name for path in place.out.iterdir()] == [name]
    ledger = result.report["ledger"]
    assert ledger["received"] == ledger["delivered"] == len(FILES[name]) == origin.body_bytes, result
    assert origin.most_open <= 8


def test_the_report(fetch, origin, place):
    result = fetch(f"{origin.url}/file/big.bin", place.out, ranks=3)
    report = result.report
    assert report["command"] == "fetch" and report["files"] == 1 and report["bytes"] == report["bytes_moved"] == BIG
    assert report["digest"].startswith("xxh3:") and report["name"] == "big.bin", result
    (one,) = report["ledger"]["origins"]
    assert one == {"host": f"127.0.0.1:{origin.port}", "requests": len(origin.requests), "bytes": BIG, "retries": 0, "429s": 0}
    assert report["ledger"]["ratio"] == 1.0
    # All ranks have worked.
    assert all(rank["bytes_read"] > 0 for rank in report["ranks"]), result


def test_the_result_line(argosy, origin, place):
    result = argosy("fetch", f"{origin.url}/file/big.bin", place.out)
    assert result.code == 0 and result.out.startswith(b"fetched big.bin: 9449529 bytes"), result
    assert b"1.000 received for each" in result.out


def test_the_time_of_change_goes_with_it(fetch, origin, place):
    assert fetch(f"{origin.url}/file/mid", place.out).code == 0
    assert (place.out / "mid").stat().st_mtime == 1767225600


def test_many_objects_to_another_rank(fetch, origin, place):
    urls = [f"{origin.url}/file/s{i}" for i in range(12)]
    result = fetch("--to", "2", *urls, f"{origin.url}/file/big.bin", str(place.out) + "-%r", ranks=3)
    assert result.code == 0 and result.report["files"] == 13, result
    out = place / "out-2"
    for i in range(12):
        same(out / f"s{i}", f"s{i}")
    same(out / "big.bin", "big.bin")


def test_under_mpiexec(fetch, origin, place):
    result = fetch(f"{origin.url}/file/big.bin", place.out, launch=UNDER, ranks=3)
    assert result.code == 0, result
    same(place.out / "big.bin", "big.bin")


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_to_all(fetch, origin, place, ranks):
    urls = [f"{origin.url}/file/{name}" for name in ("big.bin", "mid", "empty", "one", "s1", "s2", "s3")]
    result = fetch("--to", "all", "--memory", "16Mi", *urls, str(place.out) + "-%r", ranks=ranks)
    assert result.code == 0, result
    for rank in range(ranks):
        for name in ("big.bin", "mid", "empty", "one", "s1", "s2", "s3"):
            same(place / f"out-{rank}" / name, name)
    # However many have it, the origin was asked once for each byte.
    assert origin.body_bytes == result.report["ledger"]["received"] == result.report["bytes_moved"], result
    assert [rank["bytes_written"] for rank in result.report["ranks"]] == [origin.body_bytes] * ranks


def test_to_all_of_one_node_and_a_shared_folder(fetch, origin, place):
    result = fetch("--to", "all", f"{origin.url}/file/big.bin", place.out, ranks=3, one_node=True)
    assert result.code == 0, result
    same(place.out / "big.bin", "big.bin")
    result = fetch("--to", "all", f"{origin.url}/file/mid", place.out, ranks=3)
    assert result.code == 0, result
    same(place.out / "mid", "mid")
    assert sorted(path.name for path in place.out.iterdir()) == ["big.bin", "mid"]


def test_a_member_whose_disk_is_full(fetch, origin, place, mounts):
    with mounted(place / "out-1", "-t", "tmpfs", "-o", "size=2m", "argosy-test"):
        result = fetch("--to", "all", f"{origin.url}/file/big.bin", str(place.out) + "-%r", ranks=3)
        assert result.code == PARTIAL, result
        (error,) = result.errors
        assert error["rank"] == 1 and error["kind"] == "destination" and "No space" in error["message"], result
        assert os.listdir(place / "out-1") == []
    for rank in (0, 2):
        same(place / f"out-{rank}" / "big.bin", "big.bin")


def test_no_space(fetch, origin, place, mounts):
    with mounted(place.out, "-t", "tmpfs", "-o", "size=2m", "argosy-test"):
        result = fetch(f"{origin.url}/file/big.bin", place.out)
        assert result.code == DESTINATION and "No space" in result.text, result
        assert os.listdir(place.out) == []


def test_little_memory(fetch, origin, place):
    result = fetch("--memory", "16Mi", "--connections", "16", f"{origin.url}/file/big.bin", place.out, ranks=4)
    assert result.code == 0, result
    same(place.out / "big.bin", "big.bin")


def test_connections_are_few(fetch, origin, place):
    urls = [f"{origin.url}/file/s{i}" for i in range(12)]
    result = fetch("--connections", "2", *urls, f"{origin.url}/file/big.bin", place.out, ranks=4)
    assert result.code == 0 and origin.most_open <= 2, (result, origin.most_open)


def test_the_rate_is_kept(fetch, origin, place):
    started = time.monotonic()
    result = fetch("--rate", "4M", f"{origin.url}/file/big.bin", place.out, ranks=2)
    assert result.code == 0 and time.monotonic() - started > 0.8 * BIG / 4e6, result
    same(place.out / "big.bin", "big.bin")


# --- again ----------------------------------------------------------------------------------------------------------


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


# --- lists, names, checksums ----------------------------------------------------------------------------------------


def sha256(name):
    return hashlib.sha256(FILES[name]).hexdigest()


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


METALINK = """<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="{name}"><size>{size}</size>
<hash type="sha-256">{hash}</hash><pieces length="{length}" type="sha-256">{pieces}</pieces>
{urls}</file></metalink>"""


def metalink(name, urls, data=None, **changes):
    data = FILES["big.bin"] if data is None else data
    length = MI
    pieces = "".join(f"<hash>{hashlib.sha256(data[at:at + length]).hexdigest()}</hash>" for at in range(0, len(data), length))
    places = "".join(f'<url priority="{i + 1}">{url}</url>' for i, url in enumerate(urls))
    values = {"name": name, "size": len(data), "hash": hashlib.sha256(data).hexdigest(), "length": length, "pieces": pieces, "urls": places}
    return METALINK.format(**(values | changes))


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
        ('attachment; filename="' + "n" * 300 + '.bin"', "n" * 251 + ".bin"),
    ],
)
def test_names_of_the_origin_are_made_safe(fetch, origin, place, proposed, name):
    from urllib.parse import quote

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


# --- origins at their worst -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "weak", "reset", "shortonce", "lie", "chunked", "busy", "down", "limit"])
@pytest.mark.parametrize("name", ["big.bin", "mid"])
def test_what_can_be_dealt_with(fetch, origin, place, kind, name):
    result = fetch("--retries", "3", f"{origin.url}/{kind}/{name}", place.out, ranks=2)
    assert result.code == 0, result
    same(place.out / name, name)


@pytest.mark.parametrize("kind", ["short", "long", "gzip", "headers", "chunkedshort", "always429"])
@pytest.mark.parametrize("name", ["mid"])
def test_what_is_refused(fetch, origin, place, kind, name):
    result = fetch("--retries", "1", f"{origin.url}/{kind}/{name}", place.out, ranks=2)
    assert result.code == ORIGIN and not place.out.exists(), result
    assert len(result.errors) == 1 and f"{origin.url}/{kind}/{name}" == result.errors[0]["path"], result


@pytest.mark.parametrize("to", ["0", "all"])
def test_an_object_that_changes_is_never_mixed(fetch, origin, place, to):
    result = fetch("--to", to, f"{origin.url}/change/big.bin", str(place.out) + "-%r", ranks=2)
    assert result.code == 0, result
    for rank in range(2 if to == "all" else 1):
        assert (place / f"out-{rank}" / "big.bin").read_bytes() == bytes(reversed(FILES["big.bin"]))
    assert result.report["ledger"]["ratio"] > 1


def test_an_etag_that_flips(fetch, origin, place):
    result = fetch(f"{origin.url}/flip/big.bin", place.out, ranks=2)
    assert result.code in (0, ORIGIN), result
    if result.code == 0:
        same(place.out / "big.bin", "big.bin")
    else:
        assert not place.out.exists()


def test_429_pauses_all(fetch, origin, place):
    """Two answers 429, each with Retry-After: 1: nothing is asked within that second by any rank."""
    urls = [f"{origin.url}/busy/s{i}" for i in range(12)]
    result = fetch("--connections", "1", *urls, place.out, ranks=3)
    assert result.code == 0 and len(os.listdir(place.out)) == 12, result
    (one,) = result.report["ledger"]["origins"]
    assert one["429s"] == 2 and one["retries"] == 2 and result.seconds > 2, result


def test_a_crawling_range_goes_to_another_rank(fetch, origin, place):
    result = fetch(f"{origin.url}/drip/big.bin", place.out, ranks=2, timeout=40)
    assert result.code == 0 and result.seconds < 30, result
    same(place.out / "big.bin", "big.bin")


def test_a_stall_is_noticed(fetch, origin, place):
    result = fetch("--timeout", "1", f"{origin.url}/stall/big.bin", place.out)
    assert result.code == 0 and result.report["ledger"]["origins"][0]["retries"] == 1, result
    same(place.out / "big.bin", "big.bin")


def test_404_alone_and_among_good_ones(fetch, origin, place):
    result = fetch(f"{origin.url}/status/404", place.out)
    assert result.code == ORIGIN and "404 Not Found" in result.text and not place.out.exists(), result
    result = fetch(f"{origin.url}/file/s1", f"{origin.url}/status/404", f"{origin.url}/file/s2", place.out, ranks=3)
    assert result.code == PARTIAL and sorted(os.listdir(place.out)) == ["s1", "s2"], result
    assert len(result.errors) == 1 and result.errors[0]["kind"] == "origin"


def test_nobody_there(fetch, place):
    result = fetch("--retries", "0", "http://127.0.0.1:1/x", place.out)
    assert result.code == ORIGIN and not place.out.exists(), result


@pytest.mark.parametrize("url", ["ftp://h/x", "file:///etc/passwd", "gopher://h/", "nothing", "http://", "http://[::1/x"])
def test_other_schemes(fetch, place, url):
    result = fetch(url, place.out)
    assert result.code == USAGE and not place.out.exists(), result


@pytest.mark.parametrize(
    "arguments", [(), ("http://h/x",), ("--stdout",), ("--to", "x", "http://h/x", "d"), ("--to", "7", "http://h/x", "d"),
                  ("--stdout", "--to", "0", "http://h/x"), ("--sha256", "12", "http://h/x", "d"), ("--connections", "0", "http://h/x", "d")],
)
def test_wrong_usage(fetch, arguments):
    assert fetch(*arguments, ranks=2).code == USAGE


# --- redirects and secrets ------------------------------------------------------------------------------------------


def test_redirects(fetch, origin, place):
    result = fetch(f"{origin.url}/to/%2Ffile%2Fbig.bin", place.out)
    assert result.code == 0 and (place.out / "_file_big.bin").exists() or os.listdir(place.out), result
    (path,) = place.out.iterdir()
    same(path, "big.bin")
    result = fetch(f"{origin.url}/loop", place / "loop")
    assert result.code == ORIGIN and "redirects" in result.text and not (place / "loop").exists(), result
    result = fetch(f"{origin.url}/to/ftp%3A%2F%2Fh%2Fx", place / "ftp")
    assert result.code == ORIGIN, result


def test_credentials_go_only_to_whom_they_were_given_for(fetch, origin, place):
    with Origin(dict(FILES)) as other:
        (place / "headers").write_text("Authorization: Bearer sesame\n")
        result = fetch("--header-file", place / "headers", f"{origin.url}/secret/s1", place.out)
        assert result.code == 0, result
        result = fetch("--header-file", place / "headers", f"{origin.url}/to/{other.url.replace('/', '%2F')}%2Ffile%2Fs2", place / "b")
        assert result.code == 0 and other.requests and not other.authorizations, result
        user = origin.url.replace("http://", "http://ali:baba@")
        result = fetch(f"{user}/secret/s3", place / "c")
        assert result.code == 0, result
        result = fetch(f"{user}/to/{other.url.replace('/', '%2F')}%2Fsecret%2Fs2", place / "d")
        assert result.code == ORIGIN and not other.authorizations and "baba" not in result.text, result
        assert b"baba" not in result.out


def test_netrc(fetch, origin, place):
    (place / ".netrc").write_text("machine 127.0.0.1 login ali password baba\n")
    result = fetch(f"{origin.url}/secret/s1", place.out, env={"HOME": str(place.root)})
    assert result.code == 0, result


def test_secrets_are_neither_printed_nor_in_the_process_list(start, origin, place):
    (place / "headers").write_text("X-Token: opensesame\n")
    url = f"{origin.url}/slowhead/s1".replace("http://", "http://ali:babasecret@")
    job = start("fetch", "--verbose", "--header-file", place / "headers", url, place.out, ranks=2)
    until(lambda: origin.requests, what="a request")
    for process in job.processes():
        assert "opensesame" not in " ".join(process.argv)
        assert "babasecret" not in " ".join(process.argv), process
    result = job.wait()
    assert result.code == 0 and "opensesame" not in result.text and "babasecret" not in result.text, result
    assert origin.heads[0]["x-token"] == "opensesame"
    (place / "headers").write_text("a line with opensesame\n")
    result = start("fetch", "--header-file", place / "headers", url, place.out, ranks=2).wait()
    assert result.code == USAGE and "opensesame" not in result.text + result.out.decode(), result


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def test_https(fetch, place, certificate):
    path, context = certificate
    with Origin(dict(FILES), tls=context) as origin, Origin(dict(FILES)) as plain:
        url = f"{origin.url}/file/big.bin"
        result = fetch(url, place.out)
        assert result.code == ORIGIN and not place.out.exists(), result
        assert fetch("--cacert", path, url, place.out, ranks=2).code == 0
        same(place.out / "big.bin", "big.bin")
        assert fetch("--insecure", f"{origin.url}/file/mid", place.out).code == 0
        # Up is fine, down is not.
        target = f"{origin.url}/file/s1".replace("/", "%2F")
        assert fetch("--insecure", f"{plain.url}/to/{target}", place / "up").code == 0
        target = f"{plain.url}/file/s1".replace("/", "%2F")
        result = fetch("--insecure", f"{origin.url}/to/{target}", place / "down")
        assert result.code == ORIGIN and "https down to http" in result.text, result
        assert "/file/s1" not in plain.requests


# --- standard output ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("launch", ["self", "mpiexec"])
def test_bodies_in_order(argosy, origin, launch):
    names = ["s1", "big.bin", "empty", "s2", "mid", "s3", "one"]
    kinds = {"s1": "slowhead", "mid": "chunked"}
    urls = [f"{origin.url}/{kinds.get(name, 'file')}/{name}" for name in names]
    options = {"launch": UNDER} if launch == "mpiexec" else {}
    result = argosy("fetch", "--stdout", *urls, ranks=3, env=NETWORK, **options)
    assert result.code == 0 and result.out == b"".join(FILES[name] for name in names), result.err


def test_more_than_the_memory_in_front_of_what_is_slow(argosy, origin):
    """The first body comes last, and those behind it are more than the buffers hold."""
    urls = [f"{origin.url}/slowhead/s1"] + [f"{origin.url}/{kind}/big.bin?{i}" for i in range(3) for kind in ("plain", "chunked", "file")]
    result = argosy("fetch", "--stdout", "--memory", "16Mi", *urls, ranks=2, env=NETWORK)
    assert result.code == 0 and result.out == FILES["s1"] + 9 * FILES["big.bin"], (len(result.out), result.err)


def test_stdout_leaves_out_what_fails(argosy, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/status/404", f"{origin.url}/file/s2"]
    result = argosy("fetch", "--stdout", *urls, ranks=2)
    assert result.code == PARTIAL and result.out == FILES["s1"] + FILES["s2"], result
    assert "404" in result.text


def test_stdout_ends_behind_half_a_body(argosy, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/chunkedshort/big.bin", f"{origin.url}/file/s2"]
    result = argosy("fetch", "--stdout", "--retries", "0", *urls, ranks=2)
    assert result.code == PARTIAL, result
    rest = result.out[len(FILES["s1"]) :]
    assert result.out.startswith(FILES["s1"]) and (rest == FILES["s2"] or FILES["big.bin"].startswith(rest)), result


def test_a_reader_that_goes(start, origin):
    read, write = os.pipe()
    job = start("fetch", "--stdout", f"{origin.url}/file/big.bin", f"{origin.url}/chunked/big.bin", stdout=write)
    os.close(write)
    os.read(read, 1000)
    os.close(read)
    assert job.wait().code in (PARTIAL, DESTINATION)


def test_what_was_answered(fetch, origin):
    urls = [f"{origin.url}/file/s1", f"{origin.url}/status/404", f"{origin.url}/file/big.bin"]
    result = fetch("--stdout", *urls, ranks=2)
    assert result.code == PARTIAL, result
    good, bad, big = result.report["responses"]
    assert good["url"] == urls[0] and good["status"] == 206 or good["status"] == 200
    assert good["headers"]["etag"] and good["bytes"] == 16 * KI and good["rank"] in (0, 1) and good["seconds"] > 0
    assert big["digest"].startswith("xxh3:") and big["bytes"] == BIG
    assert bad["status"] == 404 and "404" in bad["error"]


# --- many, interrupts, real servers ---------------------------------------------------------------------------------


def test_an_interrupt_leaves_nothing(start, origin, place):
    job = start("fetch", "--rate", "1M", f"{origin.url}/file/big.bin", place.out, ranks=2)
    until(lambda: origin.body_bytes > 0, what="a first byte")
    job.signal(signal.SIGINT)
    assert job.wait().code == 130
    assert not place.out.exists() or os.listdir(place.out) == []


@pytest.fixture
def nginx(tmp_path):
    root = tmp_path / "www"
    root.mkdir()
    with Origin({}) as probe:
        port = probe.port
    user = "user root;" if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(f"""
{user} daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
events {{ worker_connections 256; }}
http {{ access_log {tmp_path}/access.log; sendfile on;
{"".join(f"{kind}_temp_path {tmp_path}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
server {{ listen 127.0.0.1:{port}; root {root}; }} }}
""")
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or pytest.skip("no nginx")
    process = subprocess.Popen([program, "-c", tmp_path / "nginx.conf", "-p", tmp_path], stderr=subprocess.DEVNULL)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), what="nginx")
    yield f"http://127.0.0.1:{port}", root, tmp_path / "access.log"
    process.terminate()
    process.wait(10)


def test_a_thousand_files_of_nginx(fetch, nginx, place):
    url, root, log = nginx
    for i in range(1000):
        (root / f"f{i}").write_bytes(data_of(1000 + 7 * i, seed=i))
    (place / "list").write_text("".join(f"{url}/f{i}\n" for i in range(1000)))
    result = fetch("-i", place / "list", place.out, ranks=4)
    assert result.code == 0 and result.report["files"] == 1000 and result.report["ledger"]["ratio"] == 1.0, result
    for i in range(1000):
        assert (place.out / f"f{i}").read_bytes() == (root / f"f{i}").read_bytes()
    assert len(log.read_text().splitlines()) == 1000
    again = fetch("-i", place / "list", place.out, ranks=4)
    assert again.code == 0 and again.report["bytes_moved"] == 0, again


def test_two_gibibytes_of_nginx(fetch, nginx, place):
    url, root, _ = nginx
    if shutil.disk_usage(place.root).free < 6 << 30:
        pytest.skip("no room")
    block = data_of(4 * MI)
    with open(root / "large", "wb") as file:
        for i in range(512):
            file.write(i.to_bytes(8, "little") + block[8:])
    result = fetch(f"{url}/large", place.out, ranks=4, one_node=True, timeout=150)
    assert result.code == 0 and result.report["bytes"] == 2 << 30 and result.report["ledger"]["ratio"] == 1.0, result
    assert subprocess.run(["cmp", root / "large", place.out / "large"]).returncode == 0
    assert max(rank["peak_rss"] for rank in result.report["ranks"]) < 300 * MI, result


@pytest.fixture
def httpbin():
    pytest.importorskip("httpbin")
    with Origin({}) as probe:
        port = probe.port
    code = f"from httpbin import app; app.run(host='127.0.0.1', port={port}, threaded=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    import socket

    def up():
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    until(up, 30, "httpbin")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def test_httpbin(argosy, fetch, httpbin, place):
    result = argosy("fetch", "--stdout", f"{httpbin}/bytes/5000?seed=1", f"{httpbin}/range/100000", f"{httpbin}/redirect/3",
                    f"{httpbin}/stream-bytes/3000?seed=2", ranks=2)
    assert result.code == 0 and len(result.out) > 108_000, result.err
    assert json.loads(result.out[105_000:-3000])["url"].endswith("/get")
    assert fetch(f"{httpbin}/status/418", place.out).code == ORIGIN
    assert fetch("--retries", "1", f"{httpbin}/status/500", place.out).code == ORIGIN
    assert fetch(f"{httpbin}/gzip", place.out).code == ORIGIN
    ali = httpbin.replace("http://", "http://ali:baba@")
    assert fetch(f"{ali}/basic-auth/ali/baba", place.out).code == 0
