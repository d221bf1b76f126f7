"""Where redirects lead `argosy fetch`, and what secrets go with it."""

import os
import ssl
import subprocess
from urllib.parse import quote

import pytest
from fetching import BIG, FILES, ORIGIN, same
from harness import USAGE, until
from hostile_origin import Origin


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


def through(origin, *urls):
    return [f"{origin.url}/to/{quote(url, safe='')}" for url in urls]


def test_connections_are_counted_where_redirects_lead(fetch, origin, place):
    """Two origins that send everybody to a third."""
    with Origin(dict(FILES)) as second, Origin(dict(FILES)) as target:
        urls = [f"{target.url}/slow/s{i}" for i in range(12)] + [f"{target.url}/file/big.bin"]
        result = fetch("--connections", "3", *through(origin, *urls[::2]), *through(second, *urls[1::2]), place.out, ranks=4)
        assert result.code == 0 and result.report["files"] == 13, result
        assert target.most_open <= 3, target.most_open
        # Who has been sent away once asks there for the rest.
        assert len(origin.requests) + len(second.requests) == 13
        (ledger,) = (one for one in result.report["ledger"]["origins"] if one["host"].endswith(f":{target.port}"))
        assert ledger["bytes"] == BIG + 12 * len(FILES["s1"])


def test_a_pause_holds_where_redirects_lead(fetch, origin, place):
    with Origin(dict(FILES)) as second, Origin(dict(FILES)) as target:
        target.retry_after = 2
        urls = [f"{target.url}/busy/s{i}" for i in range(8)]
        result = fetch("--connections", "1", *through(origin, *urls[::2]), *through(second, *urls[1::2]), place.out, ranks=2)
        assert result.code == 0 and result.report["files"] == 8, result
        assert result.seconds > 4 and len(target.requests) == 10, (result.seconds, target.requests)


def test_an_address_that_is_good_for_some_time_only(fetch, origin, place):
    """Where the redirect has led is gone after a while; the address that was given knows a new one."""
    with Origin(dict(FILES)) as target:
        result = fetch(*through(origin, f"{target.url}/expires/big.bin"), place.out, ranks=2)
        assert result.code == 0 and len(origin.requests) > 1, (result, origin.requests)
        same(next(place.out.iterdir()), "big.bin")


def test_redirects_between_hosts_have_an_end(fetch, origin, place):
    with Origin(dict(FILES)) as other:
        origin.partner, other.partner = other, origin
        result = fetch(f"{origin.url}/pingpong/s1", place.out)
        assert result.code == ORIGIN and "redirects" in result.text, result
        assert len(origin.requests) + len(other.requests) == 11
