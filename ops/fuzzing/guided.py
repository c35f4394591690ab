"""
One parser under atheris: it changes what it was given until other lines of the parser run.

Run by main.py in a process of its own, since atheris ends the process, and can watch imports only before they are made:

    python ops/fuzzing/guided.py NAME [options of libFuzzer] CORPUS
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, from anywhere

import atheris  # type: ignore[import-not-found,unused-ignore] # installed by ops/fuzz, where there is a wheel

_WATCHED = ["opencode_a2a_server.adapters", "opencode_a2a_server.app", "opencode_a2a_server.domain"]


def main() -> None:
    """Feed the parser that is named."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=_WATCHED, enable_loader_override=False):
        from ops.fuzzing.parsers import PARSERS
    parser = next(parser for parser in PARSERS if parser.name == name)
    logging.disable()  # what is refused thousands of times need not be told
    atheris.Setup(sys.argv, parser)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
