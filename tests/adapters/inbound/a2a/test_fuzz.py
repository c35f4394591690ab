"""Requests made up from the OpenAPI document, right and wrong ones, and answers held against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS, CheckContext, load_all_checks
from schemathesis.core.transport import Response
from schemathesis.python.asgi import shutdown_lifespans

from opencode_a2a_server.app.container import Application
from opencode_a2a_server.app.settings import load_settings
from tests.adapters.inbound.a2a.test_openapi import described

HEADERS: Final = {"Authorization": "Bearer secret"}
RPC: Final = "POST /"
LARGE: Final = [
    "POST /message:send",
    "POST /message:stream",
    "POST /tasks/{task}/pushNotificationConfigs",
    "POST /v1/message:send",
    "POST /v1/message:stream",
    "POST /v1/tasks/{task}/pushNotificationConfigs",
]
"""What takes some hundred fields: all of their bounds would be thousands of requests."""
ALWAYS: Final = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))

load_all_checks()
EXCLUDED: Final[list[Any]] = [
    # What is right by its schema may still be refused: no schema says which tasks there are and what state they are in,
    # or which addresses are public.
    CHECKS.get_one("positive_data_acceptance"),
]
EXCLUDED_OF_CALLS: Final[list[Any]] = [
    *EXCLUDED,
    # JSON-RPC answers what is wrong with HTTP's 200 and an error; `refuses_what_is_wrong` looks for that.
    CHECKS.get_one("negative_data_rejection"),
]


def refuses_what_is_wrong(_ctx: CheckContext, response: Response, case: schemathesis.Case[Any]) -> None:
    """Look for an error where a call is not as its method wants it."""
    if case.path == "/" and case.meta is not None and case.meta.generation.mode.is_negative:
        assert response.status_code != 200 or b'"error":{"code":' in response.content, "a wrong call was taken"


SERVICE: Final = Application(
    load_settings(
        {
            "A2A_BEARER_TOKEN": "secret",
            "A2A_RUNTIME": "scripted",
            "A2A_TASK_STORE_BACKEND": "memory",
            "A2A_RATE_LIMIT_MAX_FAILURES": "0",  # credentials are made up all the time
        }
    )
)
"""The service with the scripted runtime, as a server has it; it begins to live with the first request."""


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    """Let it end."""
    yield
    shutdown_lifespans()


def made(*, systematic: bool) -> Any:
    """Give the document as schemathesis has it; `systematic` asks for each value at each bound of each field."""
    schema = schemathesis.openapi.from_dict(dict(described()))
    schema.app = SERVICE
    schema.config.generation.update(deterministic=True, no_shrink=True)
    schema.config.phases.coverage.enabled = systematic
    return schema


ROUTES: Final = made(systematic=True).exclude(name=[RPC, *LARGE])
BY_CHANCE: Final = made(systematic=False)


@ROUTES.parametrize()  # type: ignore[untyped-decorator]
@settings(ALWAYS, max_examples=4)
def test_answers_to_whatever_request_are_as_they_are_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers=HEADERS, excluded_checks=EXCLUDED)


@BY_CHANCE.include(name=LARGE).parametrize()  # type: ignore[untyped-decorator]
@settings(ALWAYS, max_examples=15)
def test_answers_to_whatever_message_are_as_they_are_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers=HEADERS, excluded_checks=EXCLUDED)


@BY_CHANCE.include(name=RPC).parametrize()  # type: ignore[untyped-decorator]
@settings(ALWAYS, max_examples=60)
def test_answers_to_whatever_call_are_as_they_are_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(
        headers=HEADERS, excluded_checks=EXCLUDED_OF_CALLS, additional_checks=[refuses_what_is_wrong]
    )
