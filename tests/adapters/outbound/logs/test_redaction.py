"""What never stands in a log line."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest
from structlog.contextvars import bound_contextvars

from opencode_a2a_server.adapters.outbound.logs import Look, Redaction, configure

SECRET = 'hush-hush "quoted"\\'  # noqa: S105 - a test's


@pytest.mark.parametrize(
    "text",
    [
        f"it is {SECRET}",
        repr({"any": SECRET}),
        json.dumps({"any": SECRET}),
        json.dumps(json.dumps({"any": SECRET})),
        "http://host/?q=hush-hush%20%22quoted%22%5C",
    ],
)
def test_a_secret_that_is_known_is_masked_however_it_is_written(text: str) -> None:
    masked = Redaction.of([SECRET])(text)

    assert "hush" not in masked


def test_each_line_of_a_key_is_masked() -> None:
    line = "MC4CAQAwBQYDK2VwBCIEIAbcdefghijklmnopqrstuvwxyz0"
    key = f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----"

    assert line not in Redaction.of([key])(f"cannot read {line} of it")
    assert "BEGIN PRIVATE KEY" in Redaction.of([key])("there is no -----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    "text",
    [
        '{"token": "s3cr3t-value"}',
        "{'access_token': 's3cr3t-value'}",
        "token=s3cr3t-value&x=1",
        "Authorization: Bearer s3cr3t-value",
        "authorization: Basic s3cr3t-value",
        "(b'authorization', b'Bearer s3cr3t-value')",
        "{'x-a2a-notification-token': 's3cr3t-value'}",
        'credentials="s3cr3t-value"',
        "PushConfig(credentials='s3cr3t-value', scheme='Basic')",
        "OPENCODE_AUTH_PASSWORD=s3cr3t-value",
        "Set-Cookie: session=s3cr3t-value",
        "api_key: s3cr3t-value",
        "x-api-key: s3cr3t-value",
        "postgresql+asyncpg://user:s3cr3t-value@host/name",
        "sent Bearer s3cr3t-value and was refused",
        '{\\"password\\": \\"s3cr3t-value\\"}',
        '{"token": "s3cr3t-value',
        "eyJhbGciOiJFZERTQSJ9.s3cr3t-value.c2lnbmF0dXJl",
    ],
)
def test_what_a_name_says_is_a_secret_is_masked(text: str) -> None:
    masked = Redaction.of([])(text)

    assert "s3cr3t-value" not in masked
    assert "****" in masked


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=12 output_tokens: 7",
        "the token is wrong",
        "task 0af7 failed: no answer",
        "http://127.0.0.1:4096/session",
        '{"contextId": "c", "text": "hello"}',
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert Redaction.of(["", "abc"])(text) == text


def fail(error: Exception, local: str) -> None:
    """Break, with a secret in a variable."""
    if local:
        raise error


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    logging.captureWarnings(capture=False)  # or logging takes them for captured that a test before had captured
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("as_json", [True, False])
def test_no_line_shows_a_secret_whichever_way_it_came_there(*, as_json: bool) -> None:
    stream = io.StringIO()
    configure(Look("DEBUG", json=as_json), ["hush-hush"], stream)
    log = logging.getLogger("anything")

    log.info("message hush-hush %s", {"token": "s3cr3t-value"})
    log.info("extra", extra={"password": "s3cr3t-value", "found": ["hush-hush"]})
    try:
        fail(ValueError("cannot use hush-hush, token=s3cr3t-value"), "hush-hush")
    except ValueError:
        log.exception("it broke")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("deprecated hush-hush", UserWarning, stacklevel=1)
    with pytest.raises(RuntimeError) as broken:
        fail(RuntimeError("hush-hush at the end"), "hush-hush")
    sys.excepthook(RuntimeError, broken.value, broken.value.__traceback__)
    text = stream.getvalue()

    assert "hush-hush" not in text
    assert "s3cr3t-value" not in text
    assert "deprecated" in text
    assert "ValueError" in text
    assert "ended by an error" in text
    if as_json:
        lines = [json.loads(line) for line in text.splitlines()]
        assert {line["level"] for line in lines} >= {"info", "error", "critical"}


@pytest.mark.usefixtures("logging_as_it_was")
def test_ids_of_what_goes_on_are_in_the_line() -> None:
    stream = io.StringIO()
    configure(Look("INFO", json=True), [], stream)

    with bound_contextvars(request_id="r-1", trace_id="0af7"):
        logging.getLogger("anything").info("hello")

    line = json.loads(stream.getvalue())
    assert (line["request_id"], line["trace_id"], line["event"]) == ("r-1", "0af7", "hello")


@pytest.mark.usefixtures("logging_as_it_was")
def test_a_line_that_cannot_be_written_does_not_show_what_was_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Look("INFO"), [], io.StringIO())

    logging.getLogger("anything").info("%d", "s3cr3t-value")

    said = capsys.readouterr().err
    assert "s3cr3t-value" not in said
    assert "cannot be written: TypeError" in said


@pytest.mark.usefixtures("logging_as_it_was")
def test_an_interrupt_from_the_keyboard_is_no_error() -> None:
    stream = io.StringIO()
    configure(Look("INFO"), [], stream)

    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert not stream.getvalue()
