"""--exclude, --include and --exclude-from against rsync, which decides what they mean."""

import os
import random
import shutil
import subprocess

import pytest
from harness import USAGE

RSYNC = shutil.which("rsync")
pytestmark = pytest.mark.skipif(RSYNC is None, reason="no rsync here to compare with")

PATHS = [
    "foo", "- foo", "+ foo", "!", "!x", "#c", "[z", "[a]", "z", "back\\slash", "c", "-", "a/foo", "a/b/foo", "a/b/c/foo", "s/foo",
    "s/s/x", "a/b/bar.o", "foo.d/bar", "foo.d/foo/x", "x.log", "a/x.log", "keep.log", "a/b/keep.log", "a-b", "ab", "aab/b", "b/aab",
]  # fmt: skip


@pytest.fixture
def tree(place):
    for path in PATHS:
        (place.src / "s" / path).parent.mkdir(parents=True, exist_ok=True)
        (place.src / "s" / path).write_text(path)
    (place.src / "s" / "empty").mkdir()
    return place.src / "s"


def by_rsync(place, options, **more):
    """What rsync would send, and its exit code."""
    done = subprocess.run([RSYNC, "-anm" if "-m" in options else "-an", "--out-format=%n", *options, "src/s", "nowhere"],
                          cwd=place.root, capture_output=True, **more)  # fmt: skip
    return done.returncode, {line.rstrip("/") for line in done.stdout.decode().splitlines()}


def by_argosy(place, send, options, **more):
    result = send("--dry-run", *options, "src/s", "nowhere", **more)
    return result.code, {name["path"].rstrip("/") for name in result.report["names"]} if result.code == 0 else set()


def check(place, send, options):
    code, names = by_rsync(place, options)
    assert code == 0
    assert by_argosy(place, send, options) == (0, names), options


SINGLE = [
    "**/s/foo", "**/s", "**/**", "**/*", "**", "***", "**/foo", "a/**", "a/***", "/s/a/***", "foo***", "- foo", "+ foo", "- - foo",
    "", "/", "//", "!", "!x", "- !", "#c", "[c-a]", "[z", "[a/[[:foo:]]*", "[[]a]", "[]a-z]", "[!a-z]*", "[^f]*", "[a-]", "[[:alpha:]]*",
    "[[:]*", "[\\z]", "back\\slash", "back\\\\slash", "*k\\\\s*", "*\\", "foo/", "foo.d/", "foo.d//", "/foo", "/s/foo", "a/*/foo", "a/**/foo",
    "b/**foo", "*.log", "s/s", "s/s/", "?", "??", "-", "[-]", "a[-+]b", "a?b", "s*o", "/s*o", "s**o", "/s**o", "*/foo", "/*/foo",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["--exclude", "--include"])
def test_one_pattern(place, send, tree, kind):
    for pattern in SINGLE:
        check(place, send, [kind, pattern, *(["--exclude", "*.log", "--exclude", "a/"] if kind == "--include" else [])])


def test_a_lone_exclamation_mark_forgets_what_came_before(place, send, tree):
    check(place, send, ["--exclude", "foo", "--include", "!", "--exclude", "*.log"])


@pytest.mark.parametrize("seed", range(3))
def test_random_patterns(place, send, tree, seed):
    rng = random.Random(seed)
    atoms = ["a", "b", "s", "foo", "*", "**", "?", "/", "/", "***", "[ab]", "[!s]", "[a-", "o", ".", "\\", "[[:alpha:]]", "-"]
    for _ in range(25):
        options = []
        for _ in range(rng.randrange(1, 4)):
            pattern = rng.choice(["", "", "+ ", "- "]) + "".join(rng.choice(atoms) for _ in range(rng.randrange(1, 5)))
            options.append(f"--{rng.choice(['exclude', 'exclude', 'include'])}={pattern}")
        check(place, send, options)


@pytest.mark.parametrize("nul", [False, True])
@pytest.mark.parametrize("standard_input", [False, True])
def test_a_list(place, send, tree, nul, standard_input):
    lines = ["# comment", "", "; too", "- *.log", "!", "+ a/x.log", "x.log", "- b/", "foo.d/***"]
    data = ("\0" if nul else "\n").join(lines).encode() + b"\0last"
    if not nul:
        data = data.replace(b"\n", b"\r\n", 3).replace(b"\0last", b"\rlast")
    (place / "list").write_bytes(data)
    # rsync reads the list as soon as it meets it: what says how must stand before.
    options = [*(["--from0"] if nul else []), "--exclude-from", "-" if standard_input else "list"]
    code, names = by_rsync(place, options, input=data)
    assert code == 0 and names < by_rsync(place, [])[1]
    assert by_argosy(place, send, options, stdin=data) == (0, names)


def test_standard_input_is_one_thing(place, send, tree):
    assert send("--exclude-from", "-", "--files-from", "-", "out").code == USAGE
    assert send("--exclude-from", "-", "--exclude-from", "-", "src/s", "out").code == USAGE
    assert send("--exclude-from", "-", "--as", "x", "-", "out").code == USAGE
    assert send("--from0", "src/s", "out").code == USAGE
    assert not os.path.exists(place.out)
