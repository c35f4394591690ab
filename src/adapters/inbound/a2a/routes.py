"""
The routes of an application as clients see them: which paths there are, and which methods each takes.

A path parameter of Litestar is a whole segment, so `/tasks/{id}:cancel` is one route with `/tasks/{id}`. Such a route
says by an option of its which verbs may stand behind the colon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Final

from litestar import Litestar
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.routes import BaseRoute, HTTPRoute
from litestar.utils.path import normalize_path

VERBS: Final = "verbs"
"""The option: what may stand behind the colon of the last segment, empty for nothing."""

_OF_EVERY_PATH: Final = (HttpMethod.HEAD, HttpMethod.OPTIONS)
"""Answered in front of the routes, for all of them."""


def every_operation(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Give each method of each path; but HEAD and OPTIONS, which say nothing of their own."""
    for route in routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in set(handler.http_methods).difference(_OF_EVERY_PATH):
                    for path in _as_seen(route.path_format, handler.opt.get(VERBS)):
                        yield HttpMethod(method).value, path


def methods_of(app: Litestar, path: str) -> list[str]:
    """Name the methods that a path takes; none if there is no such path."""
    found = []
    for method in HttpMethod:
        with suppress(HTTPException):
            _, handler, *_ = app.asgi_router.handle_routing(path=normalize_path(path), method=method.value)
            if method not in _OF_EVERY_PATH and _takes(path, handler.opt.get(VERBS)):
                found.append(method.value)
    if HttpMethod.GET.value in found:
        found.append(HttpMethod.HEAD.value)
    return sorted([*found, HttpMethod.OPTIONS.value]) if found else []


def all_methods(app: Litestar) -> list[str]:
    """Name the methods that some path takes."""
    return sorted(
        {method for method, _ in every_operation(app.routes)}.union(method.value for method in _OF_EVERY_PATH)
    )


def _as_seen(path: str, verbs: Collection[str] | None) -> Iterator[str]:
    if verbs is None:
        yield path
        return
    before, _, _ = path.rpartition("/")
    for verb in verbs:
        yield f"{before}/{{id}}:{verb}" if verb else f"{before}/{{id}}"


def _takes(path: str, verbs: Collection[str] | None) -> bool:
    if verbs is None:
        return True
    _, colon, verb = path.rstrip("/").rpartition("/")[2].rpartition(":")
    return (verb if colon else "") in verbs
