"""What the tests of `argosy fetch` share: objects, origins on this machine, and the command."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys

import pytest
from harness import KI, MI, data_of, until
from hostile_origin import Origin

ORIGIN = 7
BIG = 9 * MI + 12345
FILES = {f"s{i}": data_of(16 * KI, seed=i) for i in range(12)} | {
    "big.bin": data_of(BIG), "empty": b"", "one": b"x", "mid": data_of(600 * KI + 7, seed=99)
}


def same(path, name):
    assert path.read_bytes() == FILES[name], f"{path} is not {name}"


def sha256(name):
    return hashlib.sha256(FILES[name]).hexdigest()


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


@pytest.fixture
def origin():
    with Origin(dict(FILES)) as one:
        yield one


@pytest.fixture
def fetch(run):
    """As run, every rank a node of its own, or all on one."""
    return lambda *arguments, one_node=False, **options: run("fetch", *arguments, network=not one_node, **options)


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


@pytest.fixture
def httpbin():
    pytest.importorskip("httpbin")
    with Origin({}) as probe:
        port = probe.port
    code = f"from httpbin import app; app.run(host='127.0.0.1', port={port}, threaded=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    def up():
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    until(up, 30, "httpbin")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
