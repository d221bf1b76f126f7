"""What the tests of striped files share: where things are in a stripe's folder, and how to break them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from harness import ARGOSY, environment


def folder(directory, name="big.bin"):
    return Path(directory) / f"{name}.argosy"


def manifest(directory, name="big.bin"):
    return json.loads((folder(directory, name) / "manifest.json").read_text())


def sign(path, document):
    """Writes a manifest with the checksum that is right for it."""
    document.pop("checksum", None)
    probe = path.parent.parent / "probe"
    probe.write_text(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    said = subprocess.run([ARGOSY, "digest", str(probe)], env=environment(), capture_output=True, text=True, check=True).stdout
    probe.unlink()
    document["checksum"] = said.split()[0]
    path.write_text(json.dumps(document))


def share(directory, worker, name="big.bin"):
    return folder(directory, name) / f"share_{worker:04}"


def dealt(data, chunk, worker, workers):
    """What the round-robin rule gives the worker at that place (from 0) of so many."""
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    return b"".join(chunks[worker::workers])


def flip(path, at):
    """Turns one bit of a file over; its times stay."""
    info = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 4]))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def swap(one, other):
    keep = str(one) + ".swap"
    os.rename(one, keep)
    os.rename(other, one)
    os.rename(keep, other)


def lose(*paths):
    for path in paths:
        shutil.rmtree(path)


def receipts(report):
    return {one["worker"]: (one["acknowledged"], one["failed"]) for one in report["stripe"]["receipts"]}
