"""Updates on the wire: every shape as the SDK reads it, and the stream equal to the poll."""

from __future__ import annotations

import json
from collections import UserList
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from a2a import types as a2a
from attrs import evolve
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.inbound.a2a.codec import task_out
from opencode_a2a_server.adapters.inbound.a2a.encode import Encoder, Encoders, to_json
from opencode_a2a_server.domain.ids import ContextId, Principal, RequestId, Seq, SessionId, TaskId
from opencode_a2a_server.domain.interrupt import Action, Answerer, Channel, Deadline, PermissionAnswer, Verdict
from opencode_a2a_server.domain.message import DataPart, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
    BlockKind,
    Entry,
    InterruptRaised,
    InterruptResolved,
    TaskSubmitted,
    Update,
)
from tests.adapters.inbound.a2a.folding import folded, parsed, snapshot
from tests.adapters.inbound.a2a.stage import said
from tests.adapters.inbound.a2a.updates import (
    COMPLETED,
    FAILED,
    JOURNALS,
    PERMISSION,
    QUESTION,
    RETRYING,
    STARTED,
    answered,
    more,
    told,
)

AT = 1_700_000_000.0419


def submitted() -> tuple[Task, Entry]:
    entry = Entry(Seq(1), AT, TaskSubmitted(ContextId("context-1"), Principal("me"), said("hello")))
    return Task.submitted(TaskId("task-1"), entry), entry


def journaled(updates: Iterable[Update]) -> tuple[Task, list[Entry]]:
    task, first = submitted()
    entries = [first]
    for update in updates:
        entry = Entry(Seq(task.seq + 1), AT + task.seq, update)
        task.apply(entry)
        entries.append(entry)
    return task, entries


def encoded(*updates: Update) -> Mapping[str, Any]:
    """Give the last update on the wire."""
    task, entries = journaled(updates)
    result: Mapping[str, Any] = json.loads(Encoder(task)(entries[-1]))
    return result


@pytest.mark.parametrize("name", JOURNALS)
def test_a_folded_stream_is_the_polled_task(name: str) -> None:
    task, first = submitted()
    opening = ParseDict(dict(task_out(task)), a2a.Task())
    encoder = Encoder(task)
    results = [encoder(first)]
    for update in JOURNALS[name]:
        entry = Entry(Seq(task.seq + 1), AT + task.seq, update)
        task.apply(entry)
        results.append(encoder(entry))

    responses = [parsed(json.loads(result)) for result in results if result]

    assert folded(opening, responses) == snapshot(task)


@pytest.mark.parametrize("name", JOURNALS)
def test_a_stream_that_lags_behind_ends_the_same(name: str) -> None:
    task, entries = journaled(JOURNALS[name])
    encoder = Encoder(task)

    responses = [parsed(json.loads(result)) for entry in entries if (result := encoder(entry))]

    assert folded(a2a.Task(), responses) == snapshot(task)


@given(st.lists(st.text(st.characters(codec=None)), min_size=1, max_size=5))
def test_any_text_is_one_line_that_the_sdk_reads_as_it_was(texts: list[str]) -> None:
    task, entries = journaled([STARTED, told("prt_1", TextPart("")), *(more("prt_1", text) for text in texts)])
    encoder = Encoder(task)

    results = [encoder(entry) for entry in entries]

    assert all(len(result.decode().splitlines()) == 1 for result in results)
    responses = [parsed(json.loads(result)) for result in results]
    assert folded(a2a.Task(), responses) == snapshot_of(task)


def snapshot_of(task: Task) -> Mapping[str, Any]:
    told_again = json.loads(to_json({"task": task_out(task)}))
    return folded(parsed(told_again).task, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\u2028b\u2029c\u0085d", rb'"a\u2028b\u2029c\u0085d"'),
        ("\0\n\x0b\x1c", rb'"\u0000\n\u000b\u001c"'),
        ("\U0001f600\u201c", '"\U0001f600\u201c"'.encode()),
        ("\ud83d|\ude00", '"\ufffd|\ufffd"'.encode()),
    ],
)
def test_what_ends_lines_is_escaped_and_halves_of_characters_are_replaced(text: str, line: bytes) -> None:
    assert to_json(text) == line


def test_halves_of_characters_are_replaced_wherever_they_are() -> None:
    result = encoded(STARTED, told("prt_1", DataPart({"\ud800": ["\udfff", 1]}), kind=BlockKind.TOOL))

    assert result["artifactUpdate"]["artifact"]["parts"] == [{"data": {"\ufffd": ["\ufffd", 1]}}]


def test_any_mapping_is_an_object_and_any_collection_a_list() -> None:
    strange = MappingProxyType({"a": UserList(["\ud800", 1]), "b": range(2)})

    assert to_json(strange) == '{"a":["\ufffd",1],"b":[0,1]}'.encode()
    assert to_json(MappingProxyType({"a": UserList([1])})) == b'{"a":[1]}'


def test_an_update_is_encoded_once() -> None:
    task, entries = journaled([STARTED, told("prt_1", TextPart("a")), more("prt_1", "b")])

    first = [Encoder(task)(entry) for entry in entries]
    second = [Encoder(task)(entry) for entry in entries]

    assert all(one is other for one, other in zip(first, second, strict=True))


def test_an_append_says_what_it_continues() -> None:
    result = encoded(STARTED, told("prt_1", TextPart("a"), kind=BlockKind.REASONING), more("prt_1", 'b"', last=True))

    assert result == {
        "artifactUpdate": {
            "taskId": "task-1",
            "contextId": "context-1",
            "artifact": {
                "artifactId": "prt_1",
                "extensions": ["urn:a2a:stream-hints/v1"],
                "parts": [{"text": 'b"'}],
                "metadata": {
                    "shared": {
                        "stream": {
                            "block_type": "reasoning",
                            "message_id": "msg_1",
                            "source": "stream",
                            "role": "agent",
                            "event_id": "task-1:4",
                            "sequence": 4,
                        }
                    }
                },
            },
            "append": True,
            "lastChunk": True,
        }
    }


def test_a_status_has_its_moment_its_session_and_its_place() -> None:
    result = encoded(STARTED)["statusUpdate"]

    assert result["status"] == {"state": "TASK_STATE_WORKING", "timestamp": "2023-11-14T22:13:21.041Z"}
    assert result["metadata"]["shared"] == {
        "stream": {"source": "status", "event_id": "task-1:2", "sequence": 2},
        "session": {"id": "ses_1"},
    }


@pytest.mark.parametrize("end", [COMPLETED, FAILED])
def test_the_last_status_says_that_it_is_kept_and_no_other_does(end: Update) -> None:
    first, last = (
        encoded(*told)["statusUpdate"]["metadata"]["shared"]["stream"] for told in ((STARTED,), (STARTED, end))
    )

    assert "completionPhase" not in first
    assert last["completionPhase"] == "persisted"


def test_the_end_has_the_usage() -> None:
    assert encoded(STARTED, COMPLETED)["statusUpdate"]["metadata"]["shared"]["usage"] == {
        "input_tokens": 10,
        "output_tokens": 20,
        "total_tokens": 42,
        "reasoning_tokens": 3,
        "cache_tokens": {"read_tokens": 4, "write_tokens": 5},
        "cost": 0.25,
    }


def test_a_failure_says_why_to_people_and_programs() -> None:
    result = encoded(STARTED, FAILED)["statusUpdate"]

    assert result["status"]["message"] == {
        "messageId": "task-1-3",
        "role": "ROLE_AGENT",
        "parts": [{"text": "no more tokens"}],
        "contextId": "context-1",
        "taskId": "task-1",
    }
    assert result["metadata"]["opencode"] == {"error": {"type": "APIError", "upstream_status": 429}}


def test_a_retry_is_progress() -> None:
    result = encoded(STARTED, RETRYING)["statusUpdate"]

    assert result["metadata"]["shared"]["progress"] == {"type": "retry", "status": "retrying", "attempt": 2}


def test_a_permission_is_asked_for_in_words_and_in_data() -> None:
    result = encoded(STARTED, InterruptRaised(PERMISSION))["statusUpdate"]

    asked = {
        "permission": "bash",
        "patterns": ["rm -r build"],
        "always": ["rm *"],
        "metadata": {"command": "rm -r build && make"},
    }
    words, program = result["status"]["message"]["parts"]
    assert words == {"text": PERMISSION.prompt}
    assert program["data"] == {"request_id": "per_1", "type": "permission", "session_id": "ses_1", **asked}
    assert result["metadata"]["shared"]["interrupt"] == {
        "request_id": "per_1",
        "type": "permission",
        "phase": "asked",
        "details": asked,
    }


def test_a_question_has_its_options() -> None:
    result = encoded(STARTED, InterruptRaised(QUESTION))["statusUpdate"]

    assert result["metadata"]["shared"]["interrupt"]["details"] == {
        "questions": [
            {
                "header": "Colour",
                "question": "Which colour?",
                "options": [
                    {"label": "red", "value": "red", "description": "like blood"},
                    {"label": "blue", "value": "blue", "description": ""},
                ],
                "multiple": True,
                "custom": True,
            }
        ]
    }


def test_an_answered_permission_lets_the_task_work() -> None:
    task, entries = journaled([STARTED, InterruptRaised(PERMISSION), answered("per_1", "always")])
    encoder = Encoder(task)

    *_, result = [json.loads(encoder(entry)) for entry in entries]

    assert result["statusUpdate"]["status"]["state"] == "TASK_STATE_WORKING"
    assert result["statusUpdate"]["metadata"]["shared"]["interrupt"] == {
        "request_id": "per_1",
        "type": "permission",
        "phase": "resolved",
        "resolution": "always",
    }


@pytest.mark.parametrize(
    ("channel", "by", "told"),
    [
        (Channel.CALLBACK, Principal("bearer:somebody"), {"by": "client"}),
        (Channel.DEADLINE, None, {"by": "deadline", "reason": "late"}),
    ],
)
def test_how_an_interrupt_ended_says_who_ended_it_but_names_no_client(
    channel: Channel, by: Principal | None, told: dict[str, str]
) -> None:
    reason = told.get("reason", "")
    update = InterruptResolved(RequestId("per_1"), "reject", by, channel=channel, reason=reason)

    task, entries = journaled([STARTED, InterruptRaised(PERMISSION), update])
    encoder = Encoder(task)
    *_, result = [json.loads(encoder(entry)) for entry in entries]

    shared = result["statusUpdate"]["metadata"]["shared"]["interrupt"]
    named = {"request_id": "per_1", "type": "permission", "phase": "resolved", "resolution": "reject"}
    assert shared == named | told


def test_what_waits_for_a_time_says_how_long_and_what_then() -> None:
    dated = evolve(PERMISSION, deadline=Deadline(1_700_000_000.0, Action.REJECT))

    result = encoded(STARTED, InterruptRaised(dated))["statusUpdate"]

    text, data = result["status"]["message"]["parts"]
    due = {"expires_at": 1_700_000_000.0, "default_action": "reject"}
    assert text["text"].endswith("Without an answer by 2023-11-14 22:13:20 UTC it is rejected.")
    assert due.items() <= data["data"].items()
    assert due.items() <= result["metadata"]["shared"]["interrupt"].items()


def test_what_a_rule_decides_is_told_to_nobody() -> None:
    given = AnswerGiven(PERMISSION, PermissionAnswer(Verdict.ONCE), Answerer(Channel.POLICY), 1.0)
    done = InterruptResolved(RequestId("per_1"), "once", channel=Channel.POLICY, asked=False)
    task, entries = journaled([STARTED, given, done, AnswerDropped(RequestId("per_2"), "gone")])
    encoder = Encoder(task)

    assert [encoder(entry) for entry in entries[-3:]] == [b"", b"", b""]
    assert task.state is TaskState.WORKING


def test_an_answer_to_one_of_two_questions_asks_the_other() -> None:
    two = (STARTED, InterruptRaised(QUESTION), InterruptRaised(PERMISSION, QUESTION))
    result = encoded(*two, answered("per_1", shown=QUESTION))["statusUpdate"]

    assert result["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert result["status"]["message"]["parts"][1]["data"]["request_id"] == "que_1"
    assert [asked["request_id"] for asked in result["metadata"]["shared"]["interrupts"]] == ["que_1"]


def test_a_second_question_leaves_the_first_one_shown() -> None:
    result = encoded(STARTED, InterruptRaised(QUESTION), InterruptRaised(PERMISSION, QUESTION))["statusUpdate"]

    assert result["status"]["message"]["parts"][1]["data"]["request_id"] == "que_1"
    assert result["metadata"]["shared"]["interrupt"]["request_id"] == "per_1"


def test_streams_of_one_task_share_their_encoder() -> None:
    task, _ = submitted()
    other, _ = submitted()
    encoders = Encoders()

    encoder = encoders.of(task)

    assert encoders.of(task) is encoder
    assert encoders.of(other) is not encoder


def test_a_session_that_takes_anothers_place_is_told_with_what_that_means() -> None:
    told = encoded(evolve(STARTED, replaced=SessionId("ses_0")))["statusUpdate"]

    assert told["metadata"]["shared"]["session"] == {"id": "ses_1", "replaces": "ses_0"}
    assert "does not remember" in told["status"]["message"]["parts"][0]["text"]


def test_who_polls_later_finds_what_was_said_of_it_in_the_history() -> None:
    task, _ = journaled([evolve(STARTED, replaced=SessionId("ses_0")), COMPLETED])

    assert "does not remember" in task_out(task)["history"][1]["parts"][0]["text"]
