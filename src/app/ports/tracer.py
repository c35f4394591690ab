"""Traces: which piece of work was part of which, across clients, this service, the runtime and receivers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Work(enum.Enum):
    """What is traced."""

    REQUEST = "request"
    """Of a client's."""
    TURN = "turn"
    CALL = "call"
    """To the runtime; traced only as a part of something."""
    DELIVERY = "delivery"
    """Of a push notification."""


class Fact(enum.Enum):
    """What may be told of a piece of work: ids, names and numbers, never what anybody said."""

    OPERATION = "operation"
    BINDING = "binding"
    VERSION = "version"
    STATUS = "status"
    REASON = "reason"
    TASK = "task"
    CONTEXT = "context"
    SESSION = "session"
    MODEL = "model"
    STATE = "state"
    INPUT_TOKENS = "input tokens"
    OUTPUT_TOKENS = "output tokens"
    CACHE_READ_TOKENS = "cache read tokens"
    CACHE_WRITE_TOKENS = "cache write tokens"
    COST = "cost"
    CONFIG = "config"


class Span(Protocol):
    """One piece of work while it goes on."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What carries the trace on with a request (W3C Trace Context); none if nothing is traced."""
        ...

    def tell(self, fact: Fact, value: str | float) -> None:
        """Tell something of it; the last value counts."""
        ...

    def fail(self, reason: str) -> None:
        """Tell that it failed, by the name of an error or a state."""
        ...


class Tracer(Protocol):
    """Traces; nothing here waits or raises."""

    def begin(self, work: Work, name: str, trace: str = "") -> AbstractContextManager[Span]:
        """
        Trace the body as one piece of work.

        It is part of the one that goes on around it, or of what `trace` names (a W3C traceparent): work that outlives
        the request which asked for it is part of that all the same. An exception is told by its class alone.
        """
        ...


class _NoSpan:
    headers: Mapping[str, str] = {}

    def tell(self, fact: Fact, value: str | float) -> None:
        """Nothing."""

    def fail(self, reason: str) -> None:
        """Nothing."""


class Untraced:
    """Traces nothing."""

    def begin(self, work: Work, name: str, trace: str = "") -> AbstractContextManager[Span]:  # noqa: ARG002 - the port's
        """Give a span that tells nobody."""
        return _NOTHING


NO_SPAN: Final[Span] = _NoSpan()
_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(NO_SPAN)
UNTRACED: Final[Tracer] = Untraced()
"""For whoever is not traced."""
