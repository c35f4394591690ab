"""`opencode-a2a-server audit`: what the audit file is worth."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from opencode_a2a_server.adapters.outbound.audit import Broken
from opencode_a2a_server.adapters.outbound.audit import verify as verify_files

EXIT_BROKEN = 1
EXIT_USAGE = 2


@click.group()
def audit() -> None:
    """Look at the file that A2A_AUDIT_FILE names."""


@audit.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def verify(files: tuple[Path, ...]) -> None:
    """
    Check that no line was changed, left out or added: each has the hash of the one before.

    Files that were rotated are given in their order, the oldest first. Exit status: 0 all lines follow from each other, 1
    the first line that does not is named, 2 a file cannot be read.
    """
    try:
        checked = verify_files(files)
    except OSError as error:
        click.echo(f"{error.filename}: cannot be read ({error.strerror})", err=True)
        sys.exit(EXIT_USAGE)
    if isinstance(checked, Broken):
        click.echo(str(checked), err=True)
        sys.exit(EXIT_BROKEN)
    begins = f"; it begins with number {checked.begins}, lines before it are elsewhere" if checked.begins > 1 else ""
    click.echo(
        f"{checked.lines} lines, whole; the last one has number {checked.end.seq}, hash {checked.end.hash}{begins}"
    )
