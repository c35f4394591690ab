"""Where the runtime may work, and what it may read."""

from __future__ import annotations

import pytest

from opencode_a2a_server.domain.errors import ContentTypeNotSupported, InvalidRequest
from opencode_a2a_server.domain.workspace import (
    FileReference,
    Sight,
    There,
    check_directory,
    check_file,
    is_within,
    placed,
    unseen,
)

ROOT = Sight("/work", There.DIRECTORY)
FIELD = "metadata.opencode.directory"


@pytest.mark.parametrize(("path", "within"), [("/work", True), ("/work/a", True), ("/workshop", False), ("/", False)])
def test_inside_is_the_root_and_what_is_below_it(path: str, within: bool) -> None:  # noqa: FBT001 - the answer
    assert is_within("/work", path) is within


def test_everything_is_inside_of_a_workspace_that_is_the_whole_disk() -> None:
    assert is_within("/", "/etc")


def test_a_relative_path_begins_at_the_root() -> None:
    assert placed("/work", "a/b", FIELD) == "/work/a/b"
    assert placed("/work", "/etc", FIELD) == "/etc"


@pytest.mark.parametrize("given", ["", "a\0b", "a" * 5000])
def test_what_is_no_path_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        placed("/work", given, FIELD)

    assert refused.value.field == FIELD


def test_a_directory_inside_is_taken() -> None:
    assert check_directory(ROOT, Sight("/work/a", There.DIRECTORY), FIELD, override=True) == "/work/a"
    assert check_directory(ROOT, ROOT, FIELD, override=False) == "/work"


@pytest.mark.parametrize("there", list(There))
def test_of_what_is_outside_nothing_is_told(there: There) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_directory(ROOT, Sight("/secret/place", there), FIELD, override=True)

    assert refused.value.field == FIELD
    assert str(refused.value) == "metadata.opencode.directory must be inside the workspace"


def test_without_override_only_the_root_is_taken() -> None:
    with pytest.raises(InvalidRequest, match="cannot be chosen"):
        check_directory(ROOT, Sight("/work/a", There.DIRECTORY), FIELD, override=False)


@pytest.mark.parametrize("there", [There.FILE, There.NOTHING])
def test_what_is_no_directory_is_refused(there: There) -> None:
    with pytest.raises(InvalidRequest, match="no such directory"):
        check_directory(ROOT, Sight("/work/a", there), FIELD, override=True)


def test_a_disk_that_cannot_be_seen_is_judged_by_words() -> None:
    root = Sight("/work", There.UNSEEN)

    assert check_directory(root, unseen("/work//a/./b/", FIELD), FIELD, override=True) == "/work/a/b"
    with pytest.raises(InvalidRequest, match="inside"):
        check_directory(root, unseen("/etc", FIELD), FIELD, override=True)


@pytest.mark.parametrize("path", ["/work/../etc", "/work/a/..", "/work/link/../../work/b"])
def test_of_a_disk_that_cannot_be_seen_no_path_goes_up(path: str) -> None:
    with pytest.raises(InvalidRequest, match=r"\.\."):
        unseen(path, FIELD)


@pytest.mark.parametrize(
    ("url", "path", "again"),
    [
        ("file:///work/a.txt", "/work/a.txt", "file:///real"),
        ("file:/work/a.txt", "/work/a.txt", "file:///real"),
        ("FILE://localhost/work/a%20b.txt", "/work/a b.txt", "file:///real"),
        ("file:///work/a.txt?start=2&end=9", "/work/a.txt", "file:///real?start=2&end=9"),
        ("file:///work/a.txt?start=2", "/work/a.txt", "file:///real?start=2"),
        ("file:///work/%2e%2e/etc", "/work/../etc", "file:///real"),
    ],
)
def test_a_file_url_names_a_path_and_lines(url: str, path: str, again: str) -> None:
    reference = FileReference.of(url, "url")

    assert (reference.path, reference.at("/real")) == (path, again)


def test_the_url_of_a_real_path_means_that_path() -> None:
    odd = "/work/a b?c#d%2fe/\u00fc"

    assert FileReference.of(FileReference.of("file:///x", "url").at(odd), "url").path == odd


@pytest.mark.parametrize(
    "url",
    [
        "file://elsewhere/work/a.txt",
        "file:work/a.txt",
        "file:///work/a.txt#part",
        "file:///work/a.txt?start=two",
        "file:///work/a.txt?start=-1",
        "file:///work/a.txt?start=1&offset=3",
        "file:///work/a.txt?start",
        "file:///work/a%00.txt",
        "file:",
        "file://[::1/a",
    ],
)
def test_what_is_no_file_url_of_ours_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        FileReference.of(url, "url")

    assert refused.value.field == "url"


@pytest.mark.parametrize("there", [There.FILE, There.DIRECTORY])
def test_a_file_inside_may_be_read(there: There) -> None:
    assert check_file(ROOT, Sight("/work/a", there), "url") == "/work/a"


def test_a_file_outside_may_not_be_read_whether_there_is_one_or_not() -> None:
    told = set()
    for there in (There.FILE, There.NOTHING):
        with pytest.raises(InvalidRequest) as refused:
            check_file(ROOT, Sight("/etc/passwd", there), "url")
        told.add(str(refused.value))

    assert told == {"a file: URL must name a file inside the workspace"}


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no such file"):
        check_file(ROOT, Sight("/work/a", There.NOTHING), "url")


def test_files_of_a_disk_that_cannot_be_seen_are_not_read() -> None:
    with pytest.raises(ContentTypeNotSupported, match="inline"):
        check_file(Sight("/work", There.UNSEEN), Sight("/work/a", There.UNSEEN), "url")
