"""`argosy fetch` between hosts of the lab: the origin, nginx, has a host of its own, and each card carries little."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import MI, PARTIAL, data_of, until

HERE = Path(__file__).resolve().parent
LAB = (4, "500mbit")
HOSTS = "h2,h3,h4"
SIZE = 24 * MI + 7


@pytest.fixture
def nginx(lab, tmp_path):
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or pytest.skip("no nginx")
    root = lab.disk(1)
    (root / "big.bin").write_bytes(data_of(SIZE))
    for i in range(100):
        (root / f"f{i}").write_bytes(data_of(5000 + i, seed=i))
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(f"""
user root; daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error.log;
events {{ worker_connections 256; }}
http {{ log_format bytes '$body_bytes_sent'; access_log {tmp_path}/access.log bytes; sendfile on; {temporary}
server {{ listen 8080; root /scratch; }} }}
""")
    process = subprocess.Popen([HERE / "on", "--exec", "h1", program, "-c", tmp_path / "nginx.conf", "-p", tmp_path])
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), what="nginx")
    yield "http://h1:8080", tmp_path / "access.log"
    process.terminate()
    process.wait(10)


@pytest.fixture
def fetch(start):
    def run(*arguments, **options):
        result = start(*arguments, command="fetch", **options).wait()
        if result.out.strip():
            assert result.report["exit"] == result.code, result
        return result

    return run


def sent_by(log):
    return sum(int(line) for line in log.read_text().split())


def test_to_the_disk_of_every_host(lab, fetch, nginx):
    """Each byte leaves the origin once, and every host has some of them from there."""
    url, log = nginx
    result = fetch("--hosts", HOSTS, "--to", "all", f"{url}/big.bin", "/scratch/out")
    assert result.code == 0, result
    for host in (2, 3, 4):
        assert (lab.disk(host) / "out/big.bin").read_bytes() == data_of(SIZE), host
    assert sent_by(log) == SIZE == result.report["ledger"]["received"], result
    assert all(0 < rank["bytes_read"] < SIZE for rank in result.report["ranks"]), result
    again = fetch("--hosts", HOSTS, "--to", "all", f"{url}/big.bin", "/scratch/out")
    assert again.code == 0 and again.report["bytes_moved"] == 0 and sent_by(log) == SIZE, again


def test_by_all_cards_to_one_host(lab, fetch, nginx):
    url, log = nginx
    urls = [f"{url}/f{i}" for i in range(100)]
    result = fetch("--hosts", HOSTS, "--to", "1", f"{url}/big.bin", *urls, f"{url}/missing", "/scratch/%h")
    assert result.code == PARTIAL and result.report["files"] == 101 and len(result.errors) == 1, result
    assert (lab.disk(3) / "h3/big.bin").read_bytes() == data_of(SIZE)
    for i in range(100):
        assert (lab.disk(3) / f"h3/f{i}").read_bytes() == data_of(5000 + i, seed=i)
    assert not (lab.disk(2) / "h2").exists() and result.report["ledger"]["ratio"] == 1.0


def test_several_ranks_a_host(lab, fetch, nginx):
    url, log = nginx
    result = fetch("--hosts", "h2:2,h3:1,h4:2", "--to", "all", f"{url}/big.bin", "/scratch/out")
    assert result.code == 0, result
    assert [rank["bytes_written"] for rank in result.report["ranks"]] == [SIZE, 0, SIZE, SIZE, 0], result
    assert sent_by(log) == SIZE
    for host in (2, 3, 4):
        assert (lab.disk(host) / "out/big.bin").read_bytes() == data_of(SIZE), host


def test_standard_output(fetch, nginx, start):
    url, _ = nginx
    result = fetch("--hosts", HOSTS, "--stdout", f"{url}/big.bin", f"{url}/f1")
    answers = result.report["responses"]
    assert result.code == 0 and [one["bytes"] for one in answers] == [SIZE, 5001], result
    assert os.path.basename(answers[1]["url"]) == "f1"
