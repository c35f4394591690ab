from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from opencode_a2a_server.adapters.outbound.opencode.codec import (
    Frame,
    Malformed,
    decode_children,
    decode_frame,
    decode_json,
    decode_messages,
    decode_permissions,
    decode_questions,
    decode_session,
    decode_statuses,
    encode_answer,
    encode_parts,
    split_array,
)
from opencode_a2a_server.domain.errors import AgentFault, ContentTypeNotSupported, InvalidRequest
from opencode_a2a_server.domain.events import (
    Answered,
    Asked,
    ContentSeen,
    Failure,
    FilesChanged,
    MessageRemoved,
    MessageSeen,
    PartRemoved,
    SessionBusy,
    SessionFailed,
    SessionGone,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    StepFinished,
    Telling,
    TextDelta,
    TextKind,
    TextSeen,
    ToolSeen,
    ToolState,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Inquiry,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.usage import Usage
from tests.conformance.clauses import clause

SES, MSG, PRT = SessionId("ses_1"), MessageId("msg_1"), PartId("prt_1")
OWN = {"id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1"}
ERROR = {"name": "APIError", "data": {"message": "no", "statusCode": 401, "isRetryable": False, "responseBody": "{}"}}


def as_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def event(kind: str, properties: dict[str, Any]) -> bytes:
    payload = {"id": "evt_1", "type": kind, "properties": properties}
    return as_json({"directory": "/workspace", "project": "p", "payload": payload})


def told(kind: str, properties: dict[str, Any]) -> Telling | None:
    frame = decode_frame(event(kind, properties))
    if frame is None:
        return None
    assert frame.directory == "/workspace"
    assert frame.session == "ses_1"
    (telling,) = frame.tellings
    return telling


def part(**fields: Any) -> Telling | None:
    return told("message.part.updated", {"sessionID": "ses_1", "part": {**OWN, **fields}, "time": 1})


# Sessions


@pytest.mark.parametrize(
    ("kind", "properties", "telling"),
    [
        ("session.created", {"info": {"id": "ses_1", "directory": "/w"}}, SessionOpened(SES, None)),
        (
            "session.created",
            {"info": {"id": "ses_1", "directory": "/w", "parentID": "ses_0"}},
            SessionOpened(SES, SessionId("ses_0")),
        ),
        ("session.deleted", {"info": {"id": "ses_1", "directory": "/w"}}, SessionGone(SES)),
        ("session.status", {"sessionID": "ses_1", "status": {"type": "busy", "since": 1}}, SessionBusy(SES)),
        ("session.status", {"sessionID": "ses_1", "status": {"type": "idle"}}, SessionIdle(SES)),
        (
            "session.status",
            {"sessionID": "ses_1", "status": {"type": "retry", "attempt": 2, "message": "429", "next": 1795346778510}},
            SessionRetrying(SES, 2, "429"),
        ),
        ("session.idle", {"sessionID": "ses_1"}, SessionIdle(SES)),
        ("session.error", {"sessionID": "ses_1", "error": ERROR}, SessionFailed(SES, Failure("APIError", "no", 401))),
        ("session.error", {"sessionID": "ses_1"}, SessionFailed(SES, Failure("UnknownError", ""))),
    ],
)
def test_what_happens_to_a_session_is_told(kind: str, properties: dict[str, Any], telling: Telling) -> None:
    assert told(kind, properties) == telling


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("session.error", {"error": ERROR}),
        ("session.status", {"sessionID": "ses_1", "status": {"type": "dreaming"}}),
        ("session.updated", {"info": {"id": 1}}),
        ("session.next.text.delta", {"sessionID": "ses_1", "delta": "x"}),
        ("permission.v2.asked", {"id": "per_1", "sessionID": "ses_1"}),
        ("plugin.added", {"id": "x"}),
        ("message.part.delta", {"sessionID": "ses_1", "messageID": "m", "partID": "p", "field": "raw", "delta": "x"}),
    ],
)
def test_what_does_not_concern_a_turn_is_passed_over(kind: str, properties: dict[str, Any]) -> None:
    assert decode_frame(event(kind, properties)) is None


def test_a_stack_trace_is_not_passed_on() -> None:
    error = {"name": "UnknownError", "data": {"message": "Model not found: x\n    at <anonymous> (/chunk.js:1:2)"}}

    telling = told("session.error", {"sessionID": "ses_1", "error": error})

    assert telling == SessionFailed(SES, Failure("UnknownError", "Model not found: x"))


# The feed


def test_a_sync_twin_is_passed_over_without_being_parsed() -> None:
    assert decode_frame(b'{"directory":"/w","project":"p","payload":{"type":"sync","syncEvent":{ not even JSON') is None


def test_the_first_frame_of_a_feed_is_marked() -> None:
    assert decode_frame(b'{"payload":{"id":"evt_1","type":"server.connected","properties":{}}}') == Frame(
        connected=True
    )


def test_a_heartbeat_is_a_frame_that_tells_nothing() -> None:
    assert decode_frame(b'{"payload":{"id":"evt_1","type":"server.heartbeat","properties":{}}}') == Frame()


def test_keys_may_come_in_any_order() -> None:
    payload = {"type": "session.idle", "properties": {"sessionID": "ses_1"}, "id": "evt_1"}

    frame = decode_frame(json.dumps({"payload": payload, "project": "p", "directory": "/w"}, indent=1).encode())

    assert frame == Frame(SES, (SessionIdle(SES),), Directory("/w"), event="evt_1")
    assert decode_frame(b'{ "payload": { "type": "plugin.added" } }') is None


def test_a_frame_of_a_kind_we_know_but_of_another_shape_is_malformed() -> None:
    with pytest.raises(Malformed, match="sessionID"):
        decode_frame(event("session.idle", {"session": "ses_1"}))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b"[]", b'"text"', b'{"payload":1}', b"\xff", b'{"payload":{}}', b"{}"]
)
def test_a_frame_that_is_none_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_frame(data)


def test_what_is_malformed_is_a_fault_of_theirs() -> None:
    assert issubclass(Malformed, AgentFault)


# Deltas


DELTA = {"sessionID": "ses_1", "messageID": "msg_1", "partID": "prt_1", "field": "text", "delta": "word "}


def test_a_delta_is_more_text() -> None:
    assert told("message.part.delta", DELTA) == TextDelta(SES, MSG, PRT, "word ")


def test_a_text_that_quotes_a_delta_is_none() -> None:
    text = event("message.part.delta", DELTA).decode()

    telling = part(type="text", text=text, time={"start": 1, "end": 2})

    assert telling == TextSeen(SES, MSG, PRT, TextKind.TEXT, text, closed=True)


def test_a_tool_that_is_given_an_event_does_not_make_it_happen() -> None:
    forged = json.loads(event("message.part.delta", DELTA))

    telling = part(
        type="tool", callID="c", tool="t", state={"status": "running", "input": forged, "time": {"start": 1}}
    )

    assert isinstance(telling, ToolSeen)
    assert telling.input == forged


def test_a_tool_that_is_given_a_sync_twin_is_still_heard() -> None:
    forged = {"payload": {"type": "sync"}}

    telling = part(
        type="tool", callID="c", tool="t", state={"status": "running", "input": forged, "time": {"start": 1}}
    )

    assert isinstance(telling, ToolSeen)


def test_half_a_character_does_not_break_the_feed() -> None:
    whole = event("message.part.delta", {**DELTA, "delta": "half"}).replace(b'"half"', b'"a \\ud83d"')

    frame = decode_frame(whole)

    assert frame is not None
    assert frame.tellings == (TextDelta(SES, MSG, PRT, "a \ufffd"),)


# Messages


USER = {"id": "msg_1", "sessionID": "ses_1", "role": "user", "time": {"created": 5}, "summary": {"diffs": []}}
ASSISTANT = {
    "id": "msg_1",
    "sessionID": "ses_1",
    "role": "assistant",
    "parentID": "msg_0",
    "time": {"created": 5},
    "cost": 0,
    "mode": "build",
}


@pytest.mark.parametrize(
    ("info", "telling"),
    [
        (USER, MessageSeen(SES, MSG, Role.USER, created=5)),
        (ASSISTANT, MessageSeen(SES, MSG, Role.AGENT, MessageId("msg_0"), 5)),
        (
            {**ASSISTANT, "time": {"created": 5, "completed": 9}, "finish": "stop", "summary": True},
            MessageSeen(SES, MSG, Role.AGENT, MessageId("msg_0"), 5, completed=True, finish="stop", summary=True),
        ),
        (
            {**ASSISTANT, "time": {"created": 5.0, "completed": None}, "error": ERROR, "finish": None},
            MessageSeen(SES, MSG, Role.AGENT, MessageId("msg_0"), 5, failure=Failure("APIError", "no", 401)),
        ),
    ],
)
def test_a_message_is_seen_as_it_stands(info: dict[str, Any], telling: Telling) -> None:
    assert told("message.updated", {"sessionID": "ses_1", "info": info}) == telling


def test_a_message_and_a_part_may_be_removed() -> None:
    assert told("message.removed", {"sessionID": "ses_1", "messageID": "msg_1"}) == MessageRemoved(SES, MSG)
    assert told("message.part.removed", {"sessionID": "ses_1", "messageID": "msg_1", "partID": "prt_1"}) == PartRemoved(
        SES, MSG, PRT
    )


# Parts


def test_text_is_closed_once_it_has_an_end() -> None:
    assert part(type="text", text="") == TextSeen(SES, MSG, PRT, TextKind.TEXT, "", closed=False)
    assert part(type="text", text="a", time={"start": 1}) == TextSeen(SES, MSG, PRT, TextKind.TEXT, "a", closed=False)
    assert part(type="text", text="a", time={"start": 1, "end": 2}, synthetic=True) == TextSeen(
        SES, MSG, PRT, TextKind.TEXT, "a", closed=True, synthetic=True
    )
    assert part(type="reasoning", text="hm", time={"start": 1, "end": 2}) == TextSeen(
        SES, MSG, PRT, TextKind.REASONING, "hm", closed=True
    )


def tool(**state: Any) -> ToolSeen:
    telling = part(type="tool", callID="call_1", tool=state.pop("tool", "bash"), state=state)
    assert isinstance(telling, ToolSeen)
    return telling


def test_a_tool_call_is_seen_in_each_of_its_states() -> None:
    assert tool(status="pending", input={}, raw="") == ToolSeen(SES, MSG, PRT, "call_1", "bash", ToolState.PENDING)
    assert tool(status="running", input={"command": "ls"}, time={"start": 1}) == ToolSeen(
        SES, MSG, PRT, "call_1", "bash", ToolState.RUNNING, input={"command": "ls"}
    )
    assert tool(
        status="completed",
        input={"command": "ls"},
        output="a\n",
        title="List",
        metadata={"exit": None},
        time={"start": 1, "end": 2},
    ) == ToolSeen(
        SES, MSG, PRT, "call_1", "bash", ToolState.COMPLETED, title="List", input={"command": "ls"}, output="a\n"
    )
    assert tool(status="error", input={}, error="File not found", time={"start": 1, "end": 2}) == ToolSeen(
        SES, MSG, PRT, "call_1", "bash", ToolState.ERROR, input={}, error="File not found"
    )


def test_a_task_names_the_session_of_its_sub_agent() -> None:
    metadata = {"parentSessionId": "ses_1", "sessionId": "ses_2"}

    assert tool(tool="task", status="running", input={}, metadata=metadata, time={}).child == "ses_2"
    assert tool(tool="task", status="error", input={}, error="x", metadata=metadata, time={}).child == "ses_2"
    assert tool(tool="other", status="running", input={}, metadata=metadata, time={}).child is None
    assert tool(tool="task", status="running", input={}, metadata={"sessionId": 5}, time={}).child is None


def test_files_a_tool_made_are_parts() -> None:
    files = [
        {"mime": "image/png", "url": "data:image/png;base64,AAEC", "filename": "a.png"},
        {"mime": "text/plain", "url": "https://example.org/b"},
        {"mime": "text/plain", "url": "data:text/plain;base64,@@@"},
    ]

    seen = tool(status="completed", input={}, output="", attachments=files)

    assert seen.files == (
        RawPart(b"\x00\x01\x02", "image/png", "a.png"),
        UrlPart("https://example.org/b", "text/plain"),
        UrlPart("data:text/plain;base64,@@@", "text/plain"),
    )


def test_a_file_is_content() -> None:
    telling = part(type="file", mime="text/plain", url="data:,a%20b", filename="a.txt")

    assert telling == ContentSeen(SES, MSG, PRT, (RawPart(b"a b", "text/plain", "a.txt"),), "a.txt")


def test_a_step_tells_what_it_used() -> None:
    tokens = {"total": 7, "input": 1, "output": 2.0, "reasoning": 3, "cache": {"read": 4, "write": None}}

    telling = part(type="step-finish", reason="stop", cost=0.5, tokens=tokens)

    assert telling == StepFinished(SES, MSG, PRT, "stop", Usage(1, 2, 3, 4, 0, 0.5))


def test_a_patch_tells_which_files_were_changed() -> None:
    telling = part(type="patch", hash="e236", files=["/ws/a", "/ws/b"])

    assert telling == FilesChanged(SES, MSG, PRT, ("/ws/a", "/ws/b"))


@pytest.mark.parametrize("kind", ["step-start", "snapshot", "agent", "subtask", "compaction", "retry", "new"])
def test_other_parts_say_nothing(kind: str) -> None:
    assert part(type=kind, text=5) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "text"},
        {"type": "text", "text": 5},
        {"type": "text", "text": "a", "synthetic": "yes"},
        {"type": "tool", "callID": "c", "tool": "t", "state": {"status": "sleeping"}},
        {"type": "tool", "callID": "c", "tool": "t", "state": "running"},
        {"type": "step-finish", "cost": "1"},
        {"type": "step-finish", "tokens": {"input": True}},
        {"type": ["text"]},
    ],
)
def test_nothing_is_coerced(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        part(**fields)


# Interrupts

ASKED = {
    "id": "per_1",
    "sessionID": "ses_1",
    "permission": "bash",
    "patterns": ["ls *"],
    "metadata": {"command": "ls"},
    "always": ["ls *"],
    "tool": {"messageID": "msg_1", "callID": "call_1"},
}
PERMISSION = Permission(RequestId("per_1"), SES, "bash", ("ls *",), ("ls *",), {"command": "ls"}, MSG)
INQUIRY = {"question": "Which?", "header": "Colour", "options": [{"label": "Red", "description": "warm"}]}
QUESTION = Question(
    RequestId("que_1"),
    SES,
    (
        Inquiry("Which?", "Colour", (Option("Red", "warm"),)),
        Inquiry("Which?", "Colour", (Option("Red", "warm"),), multiple=True, custom=False),
    ),
)
QUESTIONED = {
    "id": "que_1",
    "sessionID": "ses_1",
    "questions": [INQUIRY, {**INQUIRY, "multiple": True, "custom": False}],
}


def test_what_is_asked_is_told() -> None:
    assert told("permission.asked", ASKED) == Asked(PERMISSION)
    assert told("question.asked", QUESTIONED) == Asked(QUESTION)


def test_a_permission_may_be_no_tools() -> None:
    loop = {"id": "per_1", "sessionID": "ses_1", "permission": "doom_loop", "patterns": ["bash"], "metadata": {}}

    assert told("permission.asked", loop) == Asked(Permission(RequestId("per_1"), SES, "doom_loop", ("bash",)))


@pytest.mark.parametrize(
    ("kind", "more", "resolution"),
    [
        ("permission.replied", {"reply": "always"}, "always"),
        ("question.replied", {"answers": [["Red"]]}, "replied"),
        ("question.rejected", {}, "rejected"),
    ],
)
def test_an_answer_is_told(kind: str, more: dict[str, Any], resolution: str) -> None:
    telling = told(kind, {"sessionID": "ses_1", "requestID": "per_1", **more})

    assert telling == Answered(SES, RequestId("per_1"), resolution)


# Answers to calls


def test_a_session_is_where_opencode_says_it_is() -> None:
    assert decode_session(as_json({"id": "ses_1", "directory": "/w", "slug": "x"})) == Session(SES, Directory("/w"))
    assert decode_children(as_json([{"id": "ses_1", "directory": "/w", "parentID": "ses_0"}])) == [SES]


def test_messages_are_retold_in_order_without_the_users_words() -> None:
    messages = [
        {"info": USER, "parts": [{**OWN, "type": "text", "text": "do it"}]},
        {
            "info": ASSISTANT,
            "parts": [
                {**OWN, "type": "step-start"},
                {**OWN, "type": "text", "text": "done", "time": {"start": 1, "end": 2}},
                {**OWN, "type": "step-finish", "reason": "stop"},
            ],
        },
    ]

    assert decode_messages(as_json(messages)) == [
        MessageSeen(SES, MSG, Role.USER, created=5),
        MessageSeen(SES, MSG, Role.AGENT, MessageId("msg_0"), 5),
        TextSeen(SES, MSG, PRT, TextKind.TEXT, "done", closed=True),
        StepFinished(SES, MSG, PRT, "stop", Usage()),
    ]


def test_what_waits_for_an_answer_is_listed() -> None:
    assert decode_permissions(as_json([ASKED])) == [PERMISSION]
    assert decode_questions(as_json([QUESTIONED])) == [QUESTION]


def test_that_a_session_works_is_passed_over() -> None:
    busy = {"payload": {"id": "evt_1", "type": "session.status", "properties": {"status": {"type": "busy"}}}}

    assert decode_frame(as_json(busy)) is None


def test_a_session_that_waits_to_try_again_is_busy() -> None:
    statuses = {"ses_1": {"type": "busy"}, "ses_2": {"type": "retry", "attempt": 1}, "ses_3": {"type": "idle"}}

    assert decode_statuses(as_json(statuses)) == {"ses_1", "ses_2"}


@pytest.mark.parametrize(
    "decode",
    [
        decode_session,
        decode_children,
        decode_messages,
        decode_permissions,
        decode_questions,
        decode_statuses,
        split_array,
    ],
)
@pytest.mark.parametrize("data", [b"<!doctype html>", b'"text"', b"5", b"", b'{"a":1}', b"[1]", b"null", b'[["a"]]'])
def test_an_answer_of_another_shape_is_malformed(decode: Any, data: bytes) -> None:
    if decode is split_array and data.startswith(b"["):
        assert decode(data)
        return
    with pytest.raises(Malformed):
        decode(data)


def test_json_is_any() -> None:
    assert decode_json(b'{"healthy":true}') == {"healthy": True}
    with pytest.raises(Malformed):
        decode_json(b"<!doctype html>")
    with pytest.raises(Malformed):
        decode_json(b"[NaN]")


def test_an_array_is_split_into_the_json_it_is_made_of() -> None:
    assert split_array(b'[{"a": 1} ,{"b":[2]}]') == [b'{"a": 1}', b'{"b":[2]}']
    assert split_array(b"[]") == []


def test_half_a_character_in_the_history_does_not_make_it_unreadable() -> None:
    message = as_json([{"info": USER, "parts": [{**OWN, "type": "text", "text": "HALF"}]}])

    told = decode_messages(message.replace(b"HALF", b"\\ude00\\\\ud83d"))

    assert told == [MessageSeen(SES, MSG, Role.USER, created=5)]
    assert split_array(b'[{"a":"\\ud83d","b":["\\ud83d\\ude00"]}]')


# Answers of persons


@pytest.mark.parametrize(
    ("answer", "verb", "body"),
    [
        (PermissionAnswer(Verdict.ONCE), "reply", {"reply": "once"}),
        (PermissionAnswer(Verdict.ALWAYS, "why not"), "reply", {"reply": "always"}),
        (PermissionAnswer(Verdict.REJECT), "reply", {"reply": "reject"}),
        (PermissionAnswer(Verdict.REJECT, "use git"), "reply", {"reply": "reject", "message": "use git"}),
        (QuestionAnswer((("Red", "Blue"), ())), "reply", {"answers": [["Red", "Blue"], []]}),
        (QuestionDismissed(), "reject", {}),
    ],
)
def test_an_answer_is_put_in_opencodes_words(answer: Any, verb: str, body: dict[str, Any]) -> None:
    assert encode_answer(answer) == (verb, body)


# Prompts


def encoded(*parts: Part) -> list[Any]:
    return list(encode_parts(Message(MessageId("m1"), Role.USER, parts)))


def content(body: dict[str, str]) -> bytes:
    head, _, data = body["url"].partition(",")
    assert head == f"data:{body['mime']};base64"
    return base64.b64decode(data)


def test_text_is_text() -> None:
    assert encoded(TextPart("a"), TextPart("b")) == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("media_type", "sent"),
    [
        ("text/plain", "text/plain"),
        ("text/markdown; charset=utf-8", "text/plain"),
        ("Text/CSV", "text/plain"),
        ("application/json", "text/plain"),
        ("application/ld+json", "text/plain"),
        ("application/x-yaml", "text/plain"),
        ("application/xhtml+xml", "text/plain"),
        ("application/javascript", "text/plain"),
        ("image/svg+xml", "text/plain"),
        ("image/png", "image/png"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("application/pdf", "application/pdf"),
    ],
)
def test_a_file_is_sent_inline_as_a_type_that_does_not_poison_the_session(media_type: str, sent: str) -> None:
    (body,) = encoded(RawPart(b"\x89content", media_type, "file.x"))

    assert body["type"] == "file"
    assert body["filename"] == "file.x"
    assert body["mime"] == sent
    assert content(body) == b"\x89content"


@pytest.mark.parametrize(
    ("raw", "filename", "sent"),
    [
        (b"\x89PNG\x00", "a.png", "image/png"),
        (b"%PDF-1.4 just ASCII", "a.pdf", "application/pdf"),
        (b"print()", "a.py", "text/plain"),
        ("söme".encode(), "", "text/plain"),
        (b'{"a":1}', "a.bin", "text/plain"),
        (b"const a: string = 1", "a.ts", "text/plain"),
    ],
)
@pytest.mark.parametrize("declared", ["", "application/octet-stream"])
def test_a_file_of_unknown_type_is_what_its_name_or_content_says(
    declared: str, raw: bytes, filename: str, sent: str
) -> None:
    (body,) = encoded(RawPart(raw, declared, filename))

    assert body["mime"] == sent
    assert body["filename"]


@clause("14.1.1d", "3.3.2e")
@pytest.mark.parametrize(
    "refused",
    [
        RawPart(b"\x00\x01", "application/octet-stream", "b.bin"),
        RawPart(b"\xff\xfe", ""),
        RawPart(b"PK", "application/zip", "a.zip"),
        RawPart(b"\x00", "", "a.zip"),
        RawPart(b"x", "audio/mpeg"),
        RawPart(b"x", "video/mp4"),
        UrlPart("http://example.org/a.png", "image/png"),
        UrlPart("a.txt"),
        UrlPart("data:audio/mpeg;base64,AAAA"),
    ],
)
def test_what_the_model_cannot_take_is_refused(refused: Part) -> None:
    with pytest.raises(ContentTypeNotSupported, match="not taken"):
        encoded(TextPart("look"), refused)


def test_a_refusal_names_the_file_and_what_is_taken() -> None:
    with pytest.raises(ContentTypeNotSupported, match=r"audio/mpeg \(song\.mp3\) is not taken; what is: text, JSON"):
        encoded(RawPart(b"x", "audio/mpeg", "song.mp3"))


def test_data_is_a_file_of_json() -> None:
    plain, named = encoded(DataPart({"a": [1, "ü"]}), DataPart(5, filename="five.json"))

    assert (plain["mime"], plain["filename"]) == ("text/plain", "data.json")
    assert json.loads(content(plain)) == {"a": [1, "ü"]}
    assert named["filename"] == "five.json"


def test_a_data_url_is_opened_and_judged_like_a_file() -> None:
    (body,) = encoded(UrlPart("data:application/json;base64,eyJhIjoxfQ==", filename="j.json"))

    assert (body["mime"], content(body)) == ("text/plain", b'{"a":1}')


@pytest.mark.parametrize("url", ["data:image/png;base64,@@@@", "data:image/png"])
def test_a_data_url_that_cannot_be_read_is_the_callers_fault(url: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        encoded(TextPart("look"), UrlPart(url))

    assert refusal.value.field == "parts[1]"


def test_the_model_is_told_of_a_file_elsewhere() -> None:
    (bare, named) = encoded(UrlPart("https://example.org/a"), UrlPart("https://example.org/a", "text/csv", "a.csv"))

    assert bare == {"type": "text", "text": "Attached by reference: https://example.org/a"}
    assert named == {"type": "text", "text": "Attached by reference (a.csv, text/csv): https://example.org/a"}
