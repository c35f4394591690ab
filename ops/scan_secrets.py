"""
Whether a secret has got into what git tracks.

`python ops/scan_secrets.py` looks, by detect-secrets, for what credentials look like: keys and tokens of known makers, private keys,
JWTs, URLs with passwords, and what is called a password or a secret. What it finds must stand in `.secrets.baseline`, which
has hashes of the seeds of tests and of examples; line numbers do not count. `--write` puts in all there is: look at it first.

Digests and ids are everywhere here, so no guesses are made by entropy. The lock file, which has nothing else, is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[1]
BASELINE = ".secrets.baseline"
_LEFT_OUT = {"requirements.lock", BASELINE}


def plugins() -> list[dict[str, str]]:
    """Name what is looked for."""
    known = get_mapping_from_secret_type_to_class().values()
    names = sorted(kind.__name__ for kind in known)
    return [{"name": name} for name in names if "Entropy" not in name and name != "IPPublicDetector"]


def tracked(root: Path) -> Iterator[str]:
    """Name the files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if name not in _LEFT_OUT and (root / name).is_file() and not (root / name).is_symlink():
            yield name


def found(root: Path) -> dict[str, dict[str, list[str]]]:
    """Give, for each file and kind, the hashes of what looks like a secret."""
    collection = SecretsCollection(root=str(root))
    with transient_settings({"plugins_used": plugins()}):
        for name in tracked(root):
            collection.scan_file(name)
    told: dict[str, dict[str, list[str]]] = {}
    for name, secret in sorted(collection, key=lambda one: (one[0], one[1].type, one[1].secret_hash)):
        told.setdefault(name, {}).setdefault(secret.type, []).append(secret.secret_hash)
    return told


def new(now: dict[str, dict[str, list[str]]], known: dict[str, dict[str, list[str]]]) -> list[str]:
    """Say what is found and not known."""
    return [
        f"{name}: {kind}"
        for name, kinds in now.items()
        for kind, hashes in kinds.items()
        if set(hashes) - set(known.get(name, {}).get(kind, []))
    ]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Look; gives the exit status."""
    baseline, now = root / BASELINE, found(root)
    if arguments == ["--write"]:
        baseline.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    known = json.loads(baseline.read_text()) if baseline.exists() else {}
    if problems := new(now, known):
        print("these look like secrets:", *problems, sep="\n  ")
        print(
            "take them out, and have what was a secret changed; if it is a test's seed: python ops/scan_secrets.py --write"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
