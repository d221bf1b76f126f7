"""`argosy fetch` from nginx and httpbin."""

import json
import shutil
import subprocess

import pytest
from fetching import ORIGIN
from harness import MI, data_of


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
