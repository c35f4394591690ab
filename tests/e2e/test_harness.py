"""The harness itself: the scripted model and the bare OpenCode, with nothing of ours in between."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.model import TITLE
from tests.e2e.opencode import OTHER_MODEL, PROVIDER
from tests.e2e.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.model import ScriptedModel
    from tests.e2e.opencode import RealOpenCode

Json = dict[str, Any]


@pytest.fixture
def client(opencode: RealOpenCode) -> Iterator[httpx.Client]:
    with opencode.client() as client:
        yield client


@pytest.fixture
def session(client: httpx.Client) -> str:
    return new_session(client)


def new_session(client: httpx.Client, **options: Any) -> str:
    session: str = client.post("/session", json=options).raise_for_status().json()["id"]
    return session


def text(script: str) -> Json:
    return {"type": "text", "text": script}


def say(client: httpx.Client, session: str, *parts: Json, **options: Any) -> Json:
    """Run one turn, and return its last message."""
    answer = client.post(f"/session/{session}/message", json={"parts": list(parts), **options})
    message: Json = answer.raise_for_status().json()
    return message


def begin(client: httpx.Client, session: str, script: str) -> None:
    """Begin a turn and do not wait for it."""
    client.post(f"/session/{session}/prompt_async", json={"parts": [text(script)]}).raise_for_status()


def history(client: httpx.Client, session: str) -> list[Json]:
    messages: list[Json] = client.get(f"/session/{session}/message").raise_for_status().json()
    return messages


def is_idle(client: httpx.Client, session: str) -> bool:
    return session not in client.get("/session/status").raise_for_status().json()


def pending(client: httpx.Client, kind: str, session: str) -> list[Json]:
    return [asked for asked in client.get(f"/{kind}").raise_for_status().json() if asked["sessionID"] == session]


def joined(message: Json, kind: str = "text") -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == kind)


def test_the_text_of_the_script_is_the_answer(client: httpx.Client, session: str) -> None:
    answer = say(client, session, text("[[say hello world]]"))

    assert joined(answer) == "hello world"
    assert answer["info"]["finish"] == "stop"


def test_a_message_without_a_script_is_echoed(client: httpx.Client, session: str) -> None:
    answer = say(client, session, text("Good morning"))

    assert joined(answer) == "You said: Good morning"


def test_a_series_arrives_whole_and_in_order(client: httpx.Client, session: str) -> None:
    answer = say(client, session, text("[[text n=200 delay=0.001]]"))

    assert joined(answer).split() == [f"word{index:05d}" for index in range(200)]


def test_reasoning_is_kept_apart_from_text(client: httpx.Client, session: str) -> None:
    answer = say(client, session, text("[[reason because I can]][[say hi]]"))

    assert joined(answer, "reasoning") == "because I can"
    assert joined(answer) == "hi"


def test_usage_is_counted(client: httpx.Client, session: str) -> None:
    answer = say(client, session, text("[[reason one two]][[say three four five]]"))

    tokens = answer["info"]["tokens"]
    assert (tokens["input"], tokens["cache"]["read"], tokens["output"], tokens["reasoning"]) == (80, 20, 3, 2)
    assert answer["info"]["cost"] > 0


def test_a_tool_runs_and_the_model_hears_its_output(client: httpx.Client, session: str, opencode: RealOpenCode) -> None:
    answer = say(client, session, text("[[bash echo $((6 * 7)); pwd]][[say Done.]]"))

    assert joined(answer) == f"The tool answered: 42\n{opencode.workspace}\n\nDone."


def test_several_tools_may_be_called_at_once_or_one_after_the_other(
    client: httpx.Client, session: str, model: ScriptedModel
) -> None:
    answer = say(client, session, text("[[bash echo one]][[+bash echo two]][[bash echo three]]"))

    assert joined(answer) == "The tool answered: three\n\n"
    assert [call.conversation.outputs for call in model.calls_of(session)] == [[], ["one\n", "two\n"], ["three\n"]]


def test_a_file_is_written_into_the_workspace(client: httpx.Client, session: str, opencode: RealOpenCode) -> None:
    say(client, session, text("[[write out.txt some content]]"))

    assert (opencode.workspace / "out.txt").read_text(encoding="utf-8") == "some content"


def test_a_question_is_asked_and_its_answer_reaches_the_model(client: httpx.Client, session: str) -> None:
    begin(client, session, "[[ask Which size? | S | M]]")
    question = until(lambda: pending(client, "question", session), what="a question")[0]

    client.post(f"/question/{question['id']}/reply", json={"answers": [["M"]]}).raise_for_status()

    assert question["questions"][0]["question"] == "Which size?"
    until(lambda: is_idle(client, session), what="the end of the turn")
    assert '"Which size?"="M"' in joined(history(client, session)[-1])


def test_a_sub_agent_runs_a_script_of_its_own(client: httpx.Client, session: str, model: ScriptedModel) -> None:
    answer = say(client, session, text("[[task say hello from below]]"))

    child = client.get(f"/session/{session}/children").raise_for_status().json()[0]["id"]
    assert "hello from below" in joined(answer)
    assert [call.said for call in model.calls_of(child)] == ["[[say hello from below]]"]


def test_the_call_for_a_title_is_no_call_of_the_turn(client: httpx.Client, session: str, model: ScriptedModel) -> None:
    say(client, session, text("[[say hi]]"))

    until(lambda: client.get(f"/session/{session}").json()["title"] == TITLE, what="a title")
    assert [call.kind for call in model.requests if call.session == session].count("title") == 1
    assert len(model.calls_of(session)) == 1


def test_a_refused_key_ends_the_turn_with_an_error(client: httpx.Client, session: str, model: ScriptedModel) -> None:
    answer = say(client, session, text("[[status 401]]"))

    assert answer["info"]["error"]["data"]["statusCode"] == httpx.codes.UNAUTHORIZED
    assert [call.ending for call in model.calls_of(session)] == ["refused"]


@pytest.mark.parametrize("status", [429, 500])
def test_a_passing_failure_is_tried_again(
    client: httpx.Client, session: str, model: ScriptedModel, status: int
) -> None:
    answer = say(client, session, text(f"[[status {status} times=2 after=0.1]][[say back again]]"))

    assert joined(answer) == "back again"
    assert [call.ending for call in model.calls_of(session)] == ["refused", "refused", "finished"]


def test_a_cut_connection_is_tried_again(client: httpx.Client, session: str, model: ScriptedModel) -> None:
    answer = say(client, session, text("[[text n=3]][[drop]][[say and the rest]]"))

    assert joined(answer).endswith("word00000 word00001 word00002 and the rest")
    assert [call.ending for call in model.calls_of(session)] == ["dropped", "finished"]


def test_an_answer_without_a_finish_reason_makes_the_agent_call_again(
    client: httpx.Client, session: str, model: ScriptedModel
) -> None:
    begin(client, session, "[[say more]][[nofinish]]")

    model.wait_for_call(session, 3)
    client.post(f"/session/{session}/abort").raise_for_status()

    until(lambda: is_idle(client, session), what="the end of the turn")


def test_aborting_a_turn_stops_the_model_call(client: httpx.Client, session: str, model: ScriptedModel) -> None:
    begin(client, session, "[[say one moment]][[hang 60]]")
    call = model.wait_for_call(session)

    client.post(f"/session/{session}/abort").raise_for_status()

    assert model.wait_for_ending(call) == "hung up"
    assert call.hung_up


def test_a_session_remembers_what_was_said(client: httpx.Client, session: str) -> None:
    say(client, session, text("[[say one]] My name is Ada."))
    say(client, session, text("[[say two]] I like tea."))

    answer = say(client, session, text("[[recall]]"))

    assert "Earlier you said 2 things" in joined(answer)
    assert "My name is Ada." in joined(answer)
    assert "I like tea." in joined(answer)


def test_an_attached_text_reaches_the_model(client: httpx.Client, session: str) -> None:
    note = base64.b64encode(b"the note's text").decode()
    attachment = {"type": "file", "mime": "text/plain", "filename": "note.txt", "url": f"data:text/plain;base64,{note}"}

    answer = say(client, session, text("[[repeat-input]] Look:"), attachment)

    assert "the note's text" in joined(answer)


def test_a_model_can_be_chosen(client: httpx.Client, session: str, model: ScriptedModel) -> None:
    say(client, session, text("[[say hi]]"), model={"providerID": PROVIDER, "modelID": OTHER_MODEL})

    assert model.calls_of(session)[0].body["model"] == OTHER_MODEL


def test_an_unknown_directive_is_an_error_which_says_so(
    client: httpx.Client, session: str, model: ScriptedModel
) -> None:
    answer = say(client, session, text("[[sing a song]]"))

    assert "no such directive: [[sing a song]]" in answer["info"]["error"]["data"]["message"]
    assert [call.ending for call in model.calls_of(session)] == ["refused"]


def test_sessions_and_their_memory_outlive_a_crash(
    start_opencode: Callable[..., RealOpenCode], model: ScriptedModel
) -> None:
    opencode = start_opencode()
    with opencode.client() as client:
        session = new_session(client)
        say(client, session, text("[[say one]] My name is Ada."))
        begin(client, session, "[[hang 60]]")
        call = model.wait_for_call(session, 2)

        opencode.kill()
        assert model.wait_for_ending(call) == "hung up"
        with pytest.raises(httpx.ConnectError):
            client.get("/global/health")

        opencode.restart()
        assert "My name is Ada." in joined(say(client, session, text("[[recall]]")))


def test_a_crash_takes_the_running_tools_along(start_opencode: Callable[..., RealOpenCode], tmp_path: Path) -> None:
    opencode = start_opencode()
    sign = tmp_path / "alive"
    with opencode.client() as client:
        begin(client, new_session(client), f"[[bash while sleep 0.1; do date +%N > {sign}; done]]")
        until(sign.exists, within=20, what="a running tool")

        opencode.kill()

    last = sign.read_text(encoding="utf-8")
    time.sleep(0.5)
    assert sign.read_text(encoding="utf-8") == last


def test_a_password_a_permission_and_a_repository_can_be_asked_for(
    start_opencode: Callable[..., RealOpenCode],
) -> None:
    opencode = start_opencode(secured=True, git=True, snapshot=True, permission={"edit": "ask"})

    assert httpx.get(f"{opencode.url}/session").status_code == httpx.codes.UNAUTHORIZED
    with opencode.client() as client:
        session = new_session(client)
        begin(client, session, "[[write README.md Changed.]]")
        permission = until(lambda: pending(client, "permission", session), within=20, what="a permission")[0]
        client.post(f"/permission/{permission['id']}/reply", json={"reply": "once"}).raise_for_status()
        until(lambda: is_idle(client, session), what="the end of the turn")

        asking = history(client, session)[0]["info"]["id"]
        # It compares after it has said that it rests.
        diff = until(
            lambda: client.get(f"/session/{session}/diff", params={"messageID": asking}).raise_for_status().json(),
            what="the comparison",
        )
        assert [change["file"] for change in diff] == ["README.md"]
