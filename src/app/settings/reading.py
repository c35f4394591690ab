"""How the settings are read: once, with all that is wrong told at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from ipaddress import ip_address
from typing import Any

import attrs
from cattrs import BaseValidationError, Converter, transform_error

from .access import AuthSettings
from .sources import CONFIG, Sources, is_secret, read_text
from .values import Secret, SettingsError, is_safe, listed
from .whole import Settings

WITHOUT_EFFECT: Mapping[str, str] = {
    "A2A_STREAMING": "streaming is always on",
    "A2A_PROTOCOL_VERSION": "the protocol version is negotiated with each request",
    "A2A_SESSION_CACHE_TTL_SECONDS": "bindings of contexts to sessions are kept in the store",
    "A2A_SESSION_CACHE_MAXSIZE": "bindings of contexts to sessions are kept in the store",
}
"""Variables of opencode-a2a-server 0.2 which are taken and do nothing, each with the reason; the start says so."""


_FILE = "_FILE"
_URL_PASSWORD = re.compile(r"(://[^/@:]*:)[^/@]*@")
_NEAR = 0.85
"""How alike two names are if one is taken for a slip of the other; OPENCODE_* has many names which are not ours."""


def load_settings(environment: Mapping[str, str], *, for_a_client: bool = False) -> Settings:
    """
    Read the settings, from what `Sources` names. Each may also be given as the path of a file that holds the value.

    A variable that is nobody's stops what serves; for a client, whose shell may have variables of other programs, it is
    one of the notes.

    Raises:
        SettingsError: With all problems at once.

    """
    sources = Sources.of(environment)
    strangers = list(_unknown(environment))
    problems = [] if for_a_client else strangers
    if sources.file is not None:
        problems += sources.file.unknown({name: _keys(group) for name, group in _groups()})
    parts: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, group in _groups():
        parts[name] = _load_group(name, group, sources, origins, problems)
    if problems:
        raise SettingsError(problems)
    settings = Settings(**parts, environment=dict(environment), origins=origins)
    notes = strangers if for_a_client else (*_notes(environment), *_remarks(settings))
    settings = attrs.evolve(settings, notes=tuple(notes))
    if problems := list(_contradictions(settings)):
        raise SettingsError(problems)
    return settings


def every_setting() -> Iterator[tuple[type, attrs.Attribute[Any]]]:
    """Give each settings class with its settings, for the reference and for completions."""
    for _, group in _groups():
        for setting in attrs.fields(attrs.resolve_types(group)):
            yield group, setting


def keys() -> Mapping[type, str]:
    """Give the table that the settings of each class have in the file."""
    return {group: name for name, group in _groups()}


def shown(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Give each setting's variable, its value, masked if it is secret, and where it is from."""
    for name, group in _groups():
        for setting in attrs.fields(attrs.resolve_types(group)):
            value = getattr(getattr(settings, name), setting.name)
            variable = setting.metadata["names"][0]
            told = value.value if isinstance(value, Enum) else value
            text = "" if told is None else str(told).lower() if isinstance(told, bool) else str(told)
            if text and is_secret(setting.type):
                text = "****"
            yield variable, _URL_PASSWORD.sub(r"\1****@", text), settings.origins.get(variable, "default")


def _keys(group: type[Any]) -> list[str]:
    return [setting.name for setting in attrs.fields(group)]


def _groups() -> Iterator[tuple[str, type[Any]]]:
    for group in attrs.fields(attrs.resolve_types(Settings)):
        if group.type is not None and attrs.has(group.type):
            yield group.name, group.type


def _load_group(name: str, group: type[Any], sources: Sources, origins: dict[str, str], problems: list[str]) -> object:
    given: dict[str, Any] = {}
    for setting in attrs.fields(attrs.resolve_types(group)):
        names = setting.metadata["names"]
        try:
            found = sources.find(name, setting.name, names, secret=is_secret(setting.type))
            if found is not None:
                given[setting.name] = _read(found.text, setting, found.name)
                origins[names[0]] = found.origin
        except SettingsError as error:
            problems += error.problems
    return group(**given)


def _read(text: str, setting: attrs.Attribute[Any], name: str) -> Any:
    try:
        value = _CONVERTER.structure(text, setting.type or str)
    except (BaseValidationError, ValueError) as error:
        reason = "; ".join(transform_error(error)) if isinstance(error, BaseValidationError) else str(error)
        raise SettingsError([f"{name}: {reason}"]) from error
    check = setting.metadata["check"]
    if check is not None and (complaint := check(value)):
        raise SettingsError([f"{name}: {complaint}"])
    return value


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    known = {name for _, setting in every_setting() for name in setting.metadata["names"]}
    known |= {name + _FILE for name in known} | set(WITHOUT_EFFECT) | {CONFIG}
    for name in sorted(set(environment) - known):
        if name.startswith("A2A_"):
            nearest = difflib.get_close_matches(name, known, 1, 0)
            yield f"{name}: there is no such setting; did you mean {nearest[0]}?"
        elif name.startswith("OPENCODE_") and (near := difflib.get_close_matches(name, known, 1, _NEAR)):
            yield f"{name}: there is no such setting; did you mean {near[0]}?"


def _contradictions(settings: Settings) -> Iterator[str]:
    if bool(settings.opencode.provider_id) != bool(settings.opencode.model_id):
        yield "OPENCODE_PROVIDER_ID and OPENCODE_MODEL_ID go together: give both or none"
    url = settings.store.url
    if url is not None and not url.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://", "postgresql://")):
        yield (
            "A2A_TASK_STORE_DATABASE_URL: must begin with sqlite+aiosqlite:/// and name a file, or with "
            "postgresql+asyncpg:// and name a database"
        )
    yield from _contradictions_of_tokens(settings.auth)
    if settings.grpc.port and settings.grpc.port == settings.server.port:
        yield "A2A_GRPC_PORT: must differ from A2A_PORT, which HTTP is served on"
    if settings.admin.port and settings.admin.port in (settings.server.port, settings.grpc.port):
        yield "A2A_ADMIN_PORT: must differ from A2A_PORT and A2A_GRPC_PORT, which clients use"
    if settings.traced and (protocol := _otlp_protocol(settings)) not in ("", "http/protobuf"):
        yield f"OTEL_EXPORTER_OTLP_PROTOCOL: spans are sent by http/protobuf, not {protocol}; or A2A_TRACING=false"
    token = settings.auth.bearer_token
    if token is not None and any(ord(character) < 0x21 or ord(character) > 0x7E for character in token):  # noqa: PLR2004
        yield "A2A_BEARER_TOKEN: must be printable ASCII without spaces, or no client could send it"


def _contradictions_of_tokens(auth: AuthSettings) -> Iterator[str]:
    if bool(auth.issuer) != bool(listed(auth.audience)):
        yield "A2A_OIDC_ISSUER and A2A_OIDC_AUDIENCE go together: without an audience, tokens for others would do here"
    if auth.issuer and not is_safe(auth.issuer):
        yield "A2A_OIDC_ISSUER: must begin with https://, or keys could be exchanged on their way; http:// is for loopback"
    if auth.jwks_url and not is_safe(auth.jwks_url):
        yield "A2A_OIDC_JWKS_URL: must begin with https://; http:// is for loopback"


def _otlp_protocol(settings: Settings) -> str:
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return next(filter(None, map(settings.environment.get, names)), "")


def _notes(environment: Mapping[str, str]) -> Iterator[str]:
    for name, reason in WITHOUT_EFFECT.items():
        if environment.get(name):
            yield f"{name} has no effect: {reason}"


def _remarks(settings: Settings) -> Iterator[str]:
    if settings.auth.issuer is None:
        for name in sorted(settings.origins):
            if name.startswith(("A2A_OAUTH_", "A2A_OIDC_")):
                yield f"{name} has no effect without A2A_OIDC_ISSUER: only tokens that are configured here are taken"
    server = settings.server
    with suppress(ValueError):
        if ip_address(server.host).is_unspecified and not server.public_url and not server.proxies:
            yield f"the agent card says {server.url}, where nobody can call: give A2A_PUBLIC_URL"


def _read_whole(text: object, _: type) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _read_number(text: object, _: type) -> float:
    try:
        return float(str(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _read_switch(text: object, _: type) -> bool:
    switches = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return switches[str(text).lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def _read_choice(text: object, choices: type[Enum]) -> Enum:
    for choice in choices:
        if str(text).lower() == str(choice.value).lower():
            return choice
    raise ValueError(f"{text!r} is none of {', '.join(str(choice.value) for choice in choices)}")


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(bool, _read_switch)
    converter.register_structure_hook(int, _read_whole)
    converter.register_structure_hook(float, _read_number)
    converter.register_structure_hook(Secret, lambda text, _: Secret(text))
    converter.register_structure_hook_func(
        lambda wanted: isinstance(wanted, type) and issubclass(wanted, Enum), _read_choice
    )
    return converter


_CONVERTER = _make_converter()


__all__ = ["WITHOUT_EFFECT", "every_setting", "keys", "load_settings", "read_text", "shown"]
