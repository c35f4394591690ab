"""The command."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Final

import rich_click as click

from opencode_a2a_server.app.cli.call import ca_file_option

if TYPE_CHECKING:
    from .finding import Finding

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As `-o json`.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@ca_file_option
def doctor(*, as_json: bool, output: str, ca_file: str | None) -> None:
    """
    Look whether everything is as it should be, and say what to do where it is not.

    It changes nothing, takes at most half a minute, and can be called while the service runs and while it does not; in
    the service's environment, since it reads the same settings. Exit status: 0 all is well, 1 there are warnings, 2
    something does not work or is open to others.
    """
    from .finding import status_of, worst
    from .rounds import examine

    findings = examine(os.environ, ca_file)
    level = worst(findings)
    if as_json or output == "json":
        told = [
            {"name": one.name, "level": one.level.value, "says": one.says, "remedy": one.remedy or None}
            for one in findings
        ]
        click.echo(json.dumps({"level": level.value, "findings": told}, ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            _show(finding)
    sys.exit(status_of(level))


def _show(finding: Finding) -> None:
    mark = click.style(f"{finding.level.value:4}", fg=_COLOURS[finding.level.value])
    click.echo(f"{mark}  {finding.name:11}  {finding.says}")
    if finding.remedy:
        click.echo(f"{'':19}{finding.remedy}")
