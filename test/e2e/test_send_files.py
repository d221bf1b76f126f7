"""Several files, lists of files, and files that are where they should be."""

import os

import pytest
from harness import MI, SELF_NETWORK, SOURCE, USAGE, data_of, snapshot


def contents(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def test_three_files(place, send, launch):
    made = {name: place.file(name, size=size, seed=size) for name, size in {"a": 10, "b": 0, "c": 2 * MI + 1}.items()}
    result = send(*made.values(), place.out, launch=launch)
    assert result.code == 0, result
    assert contents(place.out) == {name: open(path, "rb").read() for name, path in made.items()}
    assert result.report["files"] == 3 and result.report["bytes"] == 10 + 2 * MI + 1
    assert not result.report.get("digest"), "a digest is of a single file"


@pytest.mark.parametrize("launch", [None, SELF_NETWORK], ids=str)
def test_a_thousand_small_files(place, send, launch):
    """More than a page of the manifest and more than a chunk holds."""
    names = [f"file-{number:04}" for number in range(1500)]
    for number, name in enumerate(names):
        place.file(name, size=number % 37, seed=number)
    place.file("large", size=3 * MI)
    (place / "list").write_text("".join(f"src/{name}\n" for name in ["large", *names]))
    result = send("--files-from", "list", place.out, **({"launch": launch} if launch else {}))
    assert result.code == 0, result
    assert contents(place.out) == contents(place.src)
    assert result.report["files"] == 1501


def test_files_from_a_list(place, send, launch):
    for name in ("a", "b c", "ü"):
        place.file(name, size=100, seed=len(name))
    (place / "list").write_text(f"{place.src}/a\nsrc/b c\nsrc/ü")  # relative from where argosy starts; no newline at the end
    result = send("--files-from", "list", "out", launch=launch)
    assert result.code == 0, result
    assert contents(place.out) == contents(place.src)


def test_files_from_a_list_with_nul(place, send):
    for name in ("a", "new\nline", b"\xff\xfe raw"):
        place.file(name, size=100)
    (place / "list").write_bytes(b"src/a\0src/new\nline\0src/\xff\xfe raw\0")
    result = send("--from0", "--files-from", "list", place.out)
    assert result.code == 0, result
    assert sorted(os.listdir(os.fsencode(place.out))) == [b"a", b"new\nline", b"\xff\xfe raw"]


def test_list_on_standard_input(place, send, launch):
    place.file("a", size=100)
    place.file("b", size=100, seed=2)
    result = send("--files-from", "-", place.out, stdin=b"src/a\nsrc/b\n", launch=launch)
    assert result.code == 0, result
    assert contents(place.out) == contents(place.src)


def test_list_and_names_together(place, send):
    for name in "ab":
        place.file(name, size=100)
    (place / "list").write_text("src/b\n")
    result = send("--files-from", "list", "src/a", place.out)
    assert result.code == 0, result
    assert sorted(os.listdir(place.out)) == ["a", "b"]


def test_list_that_is_missing(place, send, launch):
    result = send("--files-from", "nolist", place.out, launch=launch)
    assert result.code in (USAGE, SOURCE), result
    assert "nolist" in result.text
    assert snapshot(place.out) is None


def test_empty_list_names_no_file(place, send, launch):
    (place / "list").write_text("")
    result = send("--files-from", "list", place.out, launch=launch)
    assert result.code == USAGE, result


def test_list_with_a_missing_file(place, send):
    place.file("a", size=100)
    result = send("--files-from", "-", place.out, stdin=b"src/a\nsrc/gone\n")
    assert result.code == 1, result
    assert os.listdir(place.out) == ["a"]
    assert [error["path"].endswith("gone") for error in result.errors] == [True]


def test_two_sources_of_one_name(place, argosy, launch):
    (place / "x").mkdir()
    (place / "x/same").write_text("1")
    place.file("same", size=10)
    before = snapshot(place.root)
    result = argosy("send", "x/same", "src/same", "out", launch=launch)
    assert result.code == USAGE, result
    assert "same" in result.text
    assert snapshot(place.root) == before


def test_the_same_file_twice(place, argosy):
    place.file("same", size=10)
    assert argosy("send", "src/same", "src/same", "out").code == USAGE


def test_target_is_the_source(place, send, launch):
    """Left alone: same inode, same times, nothing moved."""
    place.file("a", size=2 * MI, mtime_ns=1_000_000_001_000_000_007)
    before = snapshot(place.src)
    result = send(place.src / "a", place.src, launch=launch)
    assert result.code == 0, result
    assert snapshot(place.src) == before
    assert result.report["bytes_moved"] == 0


@pytest.mark.parametrize("way", ["symlinked folder", "hard link", "dotted path", "read only"])
def test_target_is_the_source_by_another_path(place, send, way):
    path = place.file("a", size=MI)
    target = place.src
    if way == "symlinked folder":
        target = place / "alias"
        target.symlink_to("src")
    elif way == "hard link":
        target = place.out
        target.mkdir()
        os.link(path, target / "a")
    elif way == "dotted path":
        target = f"{place.src}/../src/."
    elif way == "read only":
        os.chmod(path, 0o444)
    before = snapshot(place.src)
    result = send(path, target)
    assert result.code == 0, result
    assert snapshot(place.src) == before
    assert (place.out / "a").read_bytes() == data_of(MI) if way == "hard link" else True


def test_one_target_is_its_source_another_not(place, send):
    place.file("a", size=100)
    (place / "b").write_text("from elsewhere")
    before = os.stat(place.src / "a")
    result = send("src/a", "b", "src")
    assert result.code == 0, result
    assert os.stat(place.src / "a").st_ino == before.st_ino
    assert (place.src / "b").read_text() == "from elsewhere"
    assert result.report["bytes_moved"] == len("from elsewhere")


def test_symbolic_link_as_source(place, send):
    """What it points to is sent, under the link's name."""
    place.file("real", data=b"content")
    (place / "link").symlink_to("src/real")
    result = send("link", "out")
    assert result.code == 0, result
    assert (place.out / "link").read_bytes() == b"content" and not (place.out / "link").is_symlink()
