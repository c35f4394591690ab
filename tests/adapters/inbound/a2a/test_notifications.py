"""What notifications say, and what is left of them where there is no room."""

from __future__ import annotations

import json
from typing import Any

import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import types as v03
from google.protobuf.json_format import Parse

from opencode_a2a_server.adapters.inbound.a2a.notifications import Notifications
from opencode_a2a_server.domain.ids import Seq
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.updates import Update
from tests.adapters.inbound.a2a.stage import Stage
from tests.adapters.inbound.a2a.updates import FAILED, STARTED, more, told

pytestmark = pytest.mark.anyio

SAYING = Notifications()


async def encoded(*updates: Update) -> list[bytes]:
    log = await Stage().begin()
    log.append(updates)
    return list(map(SAYING.updates(log.task), await log.read(Seq(log.task.seq - len(updates))).next()))


async def test_an_update_is_said_as_a_stream_says_it() -> None:
    bodies = await encoded(STARTED, told("prt_1", TextPart("")), more("prt_1", "Hi"), FAILED)

    payloads = [Parse(body, a2a.StreamResponse()).WhichOneof("payload") for body in bodies]
    assert payloads == ["status_update", "artifact_update", "artifact_update", "status_update"]


async def test_without_their_content_updates_say_what_they_are_and_that_it_is_missing() -> None:
    bodies = await encoded(STARTED, told("prt_1", TextPart("x" * 1000)), more("prt_1", "y" * 1000), FAILED)

    briefs = [SAYING.brief(body) for body in bodies]

    artifact, text, failed = (json.loads(brief) for brief in briefs[1:])
    for brief in (artifact["artifactUpdate"]["artifact"], text["artifactUpdate"]["artifact"]):
        assert brief["artifactId"] == "prt_1"
        assert brief["parts"] == [{"text": ""}]
        assert brief["metadata"]["shared"]["stream"]["omitted"] is True
    assert text["artifactUpdate"]["append"] is True
    assert failed["statusUpdate"]["status"]["state"] == "TASK_STATE_FAILED"
    assert "message" not in failed["statusUpdate"]["status"]
    assert failed["statusUpdate"]["metadata"]["shared"]["stream"]["omitted"] is True
    for brief_body in briefs:
        Parse(brief_body, a2a.StreamResponse())
        assert SAYING.brief(brief_body) == brief_body


async def test_without_its_content_a_task_of_0_3_still_says_how_it_stands() -> None:
    log = await Stage().begin()
    log.append([STARTED, told("prt_1", TextPart("x" * 1000)), FAILED])

    whole = SAYING.standing(log.task)
    brief = SAYING.brief(whole)

    said: dict[str, Any] = json.loads(brief)
    assert v03.Task.model_validate(json.loads(whole)).artifacts
    assert v03.Task.model_validate(said).status.state is v03.TaskState.failed
    assert said["metadata"]["shared"]["stream"]["omitted"] is True
    assert not {"artifacts", "history"} & set(said)
    assert SAYING.brief(brief) == brief
