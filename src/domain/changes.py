"""
What a turn changed on disk, as artifacts: a patch that `git apply` takes, and a list of the files.

The runtime tells hunks; what stands around them is written here. A file whose hunks it does not tell (it is no text,
or the turn was cut short) is in the list only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from .ids import ArtifactId, MessageId
from .message import DataPart, Json, TextPart
from .updates import ArtifactTold, BlockKind

PATCH_NAME = "changes.patch"
FILES_NAME = "files.json"
_FILES_MOST = 2000
"""Files that are listed; a turn which changes more has unpacked or built something."""

_ESCAPES = {
    **{chr(code): f"\\{code:03o}" for code in (*range(0x20), 0x7F)},
    "\t": "\\t",
    "\n": "\\n",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
}
_EMPTY_BLOB = "e69de29"
"""What git calls a file without content, in short."""


class FileStatus(enum.Enum):
    """What became of a file; CHANGED if the runtime does not say more."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    CHANGED = "changed"


@frozen
class FileChange:
    """
    One file that was changed.

    `path` is relative to the root of the repository, with slashes. `hunks` are those of a unified diff, from the first
    `@@` on; none for what is no text, and for an empty file.
    """

    path: str
    status: FileStatus
    added: int = 0
    removed: int = 0
    hunks: str = ""
    text: bool = True
    """Whether the hunks, if any, say all of the change."""


def changes_told(changes: Sequence[FileChange], prompt: MessageId, most: int) -> list[ArtifactTold]:
    """
    Tell changes as two artifacts: the patch, if there is any text in it, and the list of files.

    Args:
        changes: In the order in which they are told; nothing is told of none.
        prompt: Of the turn, which names the artifacts: told again they are the same ones.
        most: Bytes the patch may have. What does not fit is left out, file by file; the list says so.

    """
    if not changes:
        return []
    patch, within = _patch(changes, most)
    listed = [_listed(change, within=change.path in within) for change in changes[:_FILES_MOST]]
    about = ArtifactTold(
        ArtifactId(f"{prompt}-{FILES_NAME}"), BlockKind.CONTENT, (), prompt, name=FILES_NAME, last=True
    )
    files = evolve(about, parts=(DataPart(listed, "application/json", FILES_NAME),))
    if not patch:
        return [files]
    told = evolve(
        about,
        artifact=ArtifactId(f"{prompt}-{PATCH_NAME}"),
        name=PATCH_NAME,
        parts=(TextPart(patch, media_type="text/x-diff", filename=PATCH_NAME),),
    )
    return [told, files]


def unified(change: FileChange) -> str:
    """Write one file's part of a patch; empty if no patch can say it."""
    if not change.text or change.status is FileStatus.CHANGED:
        return ""
    if change.hunks:
        old = "/dev/null" if change.status is FileStatus.ADDED else _quoted(f"a/{change.path}")
        new = "/dev/null" if change.status is FileStatus.DELETED else _quoted(f"b/{change.path}")
        hunks = change.hunks if change.hunks.endswith("\n") else f"{change.hunks}\n"
        return f"--- {old}\n+++ {new}\n{hunks}"
    # A file without content has no hunks: only git's own header can say that it comes or goes.
    old, new = _quoted(f"a/{change.path}"), _quoted(f"b/{change.path}")
    match change.status:
        case FileStatus.ADDED:
            return f"diff --git {old} {new}\nnew file mode 100644\nindex 0000000..{_EMPTY_BLOB}\n"
        case FileStatus.DELETED:
            return f"diff --git {old} {new}\ndeleted file mode 100644\nindex {_EMPTY_BLOB}..0000000\n"
    return ""


def _patch(changes: Sequence[FileChange], most: int) -> tuple[str, set[str]]:
    """
    Join what fits, with the paths of it.

    Files without content come last: git would take a plain `---` behind one of its own headers for a part of that.
    """
    pieces: list[str] = []
    within: set[str] = set()
    size = 0
    for change in sorted(changes, key=lambda change: not change.hunks):
        piece = unified(change)
        length = len(piece.encode(errors="surrogatepass"))
        if piece and size + length <= most:
            pieces.append(piece)
            within.add(change.path)
            size += length
    return "".join(pieces), within


def _listed(change: FileChange, *, within: bool) -> Mapping[str, Json]:
    return {
        "path": change.path,
        "status": change.status.value,
        "added": change.added,
        "removed": change.removed,
        "in_patch": within,
    }


def _quoted(path: str) -> str:
    """Write a path as git does: in quotes if a character of it would end it, with a tab behind it if a blank might."""
    if not _ESCAPES.keys().isdisjoint(path):
        return '"' + "".join(_ESCAPES.get(character, character) for character in path) + '"'
    return f"{path}\t" if " " in path else path
