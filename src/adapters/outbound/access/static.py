"""
Read A2A_STATIC_AUTH_CREDENTIALS as opencode-a2a 1.4 does: a JSON array, with secrets in plain text.

A bearer token names its principal and has the capabilities it lists; a name with a password is its own principal and
has both capabilities of 1.4 unless it lists some.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field

from opencode_a2a_server.domain.access import Caller, Capability, Grant
from opencode_a2a_server.domain.ids import Principal

from .hashes import PasswordHash, TokenHash
from .reading import RegistryUnusable
from .registry import Credential, Registry

_TEXTS: Final = ("credential_id", "scheme", "principal", "token", "username", "password")
_KEYS: Final = (*_TEXTS, "capabilities", "enabled")
_OF_BASIC: Final = frozenset({Capability.SESSION_SHELL, Capability.WORKSPACE_MUTATION})
_NEEDED: Final = {"bearer": ("principal", "token"), "basic": ("username", "password")}
_WRONG: Final = {"bearer": ("username", "password"), "basic": ("principal", "token")}


def read_static(text: str) -> Registry:
    """
    Read the array.

    Raises:
        RegistryUnusable: With all problems at once.

    """
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegistryUnusable([f"this is no JSON ({error})"]) from error
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise RegistryUnusable(["it must be a JSON array of objects"])
    reader = _Reader()
    credentials = tuple(credential for number, one in enumerate(listed, 1) for credential in reader.read(one, number))
    if not credentials and not reader.problems:
        reader.problems.append("at least one credential must be enabled")
    if reader.problems:
        raise RegistryUnusable(reader.problems)
    return Registry(credentials)


@define
class _Reader:
    problems: list[str] = field(factory=list)

    def read(self, given: Mapping[str, Any], number: int) -> Iterator[Credential]:
        wrong = [f"credential {number}: {problem}" for problem in _problems(given)]
        self.problems += wrong
        if wrong or not given.get("enabled", True):
            return
        identity = given.get("credential_id") or f"static#{number}"
        listed = frozenset(map(Capability, given.get("capabilities") or ()))
        if given["scheme"] == "bearer":
            caller = Caller(Principal(given["principal"]), identity, Grant(capabilities=listed))
            yield Credential(caller, TokenHash.of(given["token"].encode()))
        else:
            user = given["username"]
            caller = Caller(Principal(user), identity, Grant(capabilities=listed or _OF_BASIC))
            yield Credential(caller, PasswordHash.of(given["password"].encode()), user)


def _problems(given: Mapping[str, Any]) -> Iterator[str]:
    for key, value in given.items():
        if key not in _KEYS:
            yield f"there is no {key!r}; did you mean {difflib.get_close_matches(key, _KEYS, 1, 0)[0]!r}?"
        elif key in _TEXTS and value is not None and not _is_text(value):
            yield f"{key} must be a text"
    scheme = given.get("scheme")
    if not isinstance(scheme, str) or scheme not in _NEEDED:
        yield "scheme must be bearer or basic"
        return
    yield from (f"{scheme} needs {key}" for key in _NEEDED[scheme] if not given.get(key))
    yield from (f"{key} does not go with {scheme}" for key in _WRONG[scheme] if given.get(key))
    known = [capability.value for capability in Capability]
    capabilities = given.get("capabilities") or []
    if not isinstance(capabilities, list) or any(one not in known for one in capabilities):
        yield f"capabilities must be a list of {', '.join(known)}"
    if not isinstance(given.get("enabled", True), bool):
        yield "enabled must be true or false"


def _is_text(value: object) -> bool:
    """Say whether it is a text of whole characters: JSON can hold halves, which no credential can be sent with."""
    return isinstance(value, str) and bool(value.strip()) and not any("\ud800" <= one <= "\udfff" for one in value)
