"""What bench/run, bench/lab and bench/trees share."""

import datetime
import os
import platform
import random
import re
import shlex

AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size_of(text):
    """Bytes of 256M or 256Mi, both of them powers of 1024; for argparse."""
    match = re.fullmatch(r"(\d+)([kmg]?)i?b?", text.lower())
    if not match:
        raise ValueError(text)
    return int(match[1]) * UNITS[match[2]]


def shown(size):
    return f"{size >> 30} GiB" if size >= 1 << 30 and size % (1 << 30) == 0 else f"{size >> 20} MiB"


def write_random(path, size):
    """A file that doesn't compress and whose pages are in memory."""
    block = os.urandom(16 << 20)
    with open(path, "wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[: min(len(block), size - at)])


def make_tree(folder, files=50_000, folders=1_000, mean=5_220, seed=1):
    """Small files, as a source tree or a package repository has them."""
    rng = random.Random(seed)
    noise = rng.randbytes(1 << 20)
    a_folder = files // folders
    for number in range(folders):
        place = os.path.join(folder, f"{number // 100:02}", f"{number:04}")
        os.makedirs(place)
        for file in range(a_folder):
            size = min(int(rng.expovariate(1 / mean)), 200_000)
            at = rng.randrange(len(noise) - size)
            with open(os.path.join(place, f"file-{file:04}"), "wb") as out:
                out.write(noise[at : at + size])


def machine():
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def heading(what, program, arguments):
    """The line above a table: date, machine, what was done, and the command."""
    return f"{datetime.date.today()}, {machine()}, {what}: `{shlex.join([program, *arguments])}`"
