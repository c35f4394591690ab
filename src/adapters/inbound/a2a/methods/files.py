"""Methods about the files the runtime works on, and their history."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.usecases.read_files import ReadFiles

from .read import Placed, Words
from .row import Answer, ExtensionMethod, Rows
from .told import plain
from .uris import FILES

_LIMIT: Final = 20
Limit = Annotated[int, Meta(ge=1, le=100)]


class FindFiles(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which paths to find."""

    query: Words
    type: Literal["file", "directory"] | None = None
    limit: Limit = _LIMIT


class SearchText(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines to find."""

    pattern: Words
    limit: Limit = _LIMIT


class OfDirectory(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which directory is meant."""

    path: Words = "."


class OfFile(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file is meant."""

    path: Words


class DiffFrom(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to compare with: what was committed, or the default branch."""

    mode: Literal["git", "branch"] = "git"


async def _find(files: ReadFiles, call: Call, asked: FindFiles) -> Told:
    return {"items": list(await files.find(call.principal, asked.place, asked.query, asked.type, asked.limit))}


async def _search(files: ReadFiles, call: Call, asked: SearchText) -> Told:
    return {"items": plain(await files.search(call.principal, asked.place, asked.pattern, asked.limit))}


async def _list(files: ReadFiles, call: Call, asked: OfDirectory) -> Told:
    return {"items": plain(await files.list(call.principal, asked.place, asked.path))}


async def _read(files: ReadFiles, call: Call, asked: OfFile) -> Told:
    return {"item": {"path": asked.path, **plain(await files.read(call.principal, asked.place, asked.path))}}


async def _status(files: ReadFiles, call: Call, asked: Placed) -> Told:
    return {"items": plain(await files.status(call.principal, asked.place))}


async def _branch(files: ReadFiles, call: Call, asked: Placed) -> Told:
    return {"item": plain(await files.branch(call.principal, asked.place))}


async def _diff(files: ReadFiles, call: Call, asked: DiffFrom) -> Told:
    return {"items": plain(await files.diffs(call.principal, asked.place, asked.mode))}


_ROWS: Final[Rows[ReadFiles]] = Rows(FILES, lambda services: services.files)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "opencode.files.find",
        "find_files",
        summary="The paths that are most like a query.",
        params=FindFiles,
        answer=Answer(("items",), "string"),
        call=_find,
    ),
    _ROWS.of(
        "opencode.files.list",
        "list_files",
        summary="What is in a directory.",
        params=OfDirectory,
        answer=Answer(("items",), "FileEntry"),
        call=_list,
    ),
    _ROWS.of(
        "opencode.files.read",
        "read_file",
        summary="What is in a file: text, or Base64 where `encoding` says so; one that is not there is empty.",
        params=OfFile,
        answer=Answer(("item",), "FileContent"),
        call=_read,
    ),
    _ROWS.of(
        "opencode.files.status",
        "files_status",
        summary="The files that were changed and not committed.",
        params=Placed,
        answer=Answer(("items",), "FileStatus"),
        call=_status,
    ),
    _ROWS.of(
        "opencode.text.find",
        "find_text",
        summary="The lines that a regular expression fits (OpenCode needs ripgrep for it).",
        params=SearchText,
        answer=Answer(("items",), "TextMatch"),
        call=_search,
    ),
    _ROWS.of(
        "opencode.vcs.get",
        "get_vcs",
        summary="The branch the directory is on, and the default one.",
        params=Placed,
        answer=Answer(("item",), "VcsSummary"),
        call=_branch,
    ),
    _ROWS.of(
        "opencode.vcs.diff",
        "get_vcs_diff",
        summary="What differs from what was committed (`git`), or from the default branch (`branch`).",
        params=DiffFrom,
        answer=Answer(("items",), "FileDiff"),
        call=_diff,
    ),
)
