"""Which session works for whom: binding by id, directories, what is lost, what is asked for with a message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.scripted import (
    AskInput,
    AskPermission,
    Delay,
    Echo,
    Fail,
    Hang,
    Recall,
    Say,
    Step,
)
from opencode_a2a_server.app.usecases.accept_message import ToWorking
from opencode_a2a_server.domain.errors import (
    ContentTypeNotSupported,
    InvalidRequest,
    JournalUnavailable,
    SessionNotFound,
)
from opencode_a2a_server.domain.ids import ContextId, Principal, SessionId
from opencode_a2a_server.domain.message import Message, TextPart, UrlPart
from opencode_a2a_server.domain.session import (
    Directory,
    FoundSession,
    ModelChoice,
    Ownership,
    PromptOptions,
    Session,
    Wishes,
)
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import TurnStarted
from tests.app.house import ALICE, BOB, CONTEXT, House, Stage, living, reborn, status_of, text_of
from tests.fakes.choices import NANO, SONNET

pytestmark = pytest.mark.anyio

OTHER = ContextId("other")


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    """The use cases, at work in a workspace."""
    stage = Stage()
    stage.scripted.directory = "/work"
    stage.paths.directories |= {"/work", "/work/one", "/work/two", "/etc"}
    stage.paths.files |= {"/work/one/a.txt", "/etc/passwd"}
    stage.paths.links |= {"/work/link": "/work/two", "/work/out": "/etc"}
    async with stage.scripted, living(stage) as house:
        yield house


async def send(  # noqa: PLR0913 - a message has many sides
    house: House,
    *steps: Step,
    by: Principal = ALICE,
    context: ContextId | None = CONTEXT,
    task: Task | None = None,
    session: SessionId | None = None,
    directory: str | None = None,
    model: ModelChoice | None = None,
    agent: str | None = None,
    variant: str | None = None,
) -> Task:
    message = house.message(*steps, context=context, task=task)
    where = None if directory is None else Directory(directory)
    asked = Wishes(session, where, model, agent, variant)
    log = await house.send(by, evolve(message, wishes=asked), return_immediately=True)
    assert not isinstance(log, Message)
    await house.clock.turn()
    return log.task


async def begun_elsewhere(house: House, directory: str = "/work") -> SessionId:
    return (await house.agent.open_session("", Directory(directory))).id


def session_of(task: Task) -> Session:
    assert task.session is not None
    return task.session


# By its id


async def test_a_message_binds_its_context_to_the_session_it_names(house: House) -> None:
    session = await begun_elsewhere(house)

    first = await send(house, Say("hello"), session=session)
    second = await send(house, Recall())

    assert session_of(first).id == session_of(second).id == session
    assert first.state is TaskState.COMPLETED
    assert house.stage.owners.held[session] == Ownership(session, ALICE)


async def test_a_session_that_a_message_names_takes_the_place_of_the_contexts(house: House) -> None:
    first = await send(house, Say("hello"))
    session = await begun_elsewhere(house)

    await send(house, Say("there"), session=session)
    third = await send(house, Say("and on"))

    assert session_of(first).id != session_of(third).id == session


async def test_two_contexts_of_one_session_take_turns(house: House) -> None:
    session = await begun_elsewhere(house)

    first = await send(house, Say("one"), Delay(10), session=session)
    second = await send(house, Say("two"), session=session, context=OTHER)

    assert (first.state, second.state) == (TaskState.WORKING, TaskState.SUBMITTED)
    await house.clock.turn(10)
    assert (first.state, second.state) == (TaskState.COMPLETED, TaskState.COMPLETED)


async def test_what_is_anothers_and_what_is_unknown_is_refused_alike_and_nothing_is_kept(house: House) -> None:
    alices = session_of(await send(house, Say("mine"))).id
    told = []
    for session in (alices, SessionId("ses-unknown")):
        house.agent.calls.clear()
        with pytest.raises(SessionNotFound) as refused:
            await send(house, Say("yours?"), by=BOB, session=session)
        told.append((str(refused.value).replace(session, "it"), house.agent.calls.copy()))

    assert told[0] == told[1]
    assert len(house.journal.logs) == 1


async def test_two_who_claim_one_session_at_once_do_not_share_it(house: House) -> None:
    session = await begun_elsewhere(house)

    sending = (send(house, Say(by), by=by, session=session) for by in (ALICE, BOB))
    alices, bobs = await asyncio.gather(*sending, return_exceptions=True)

    assert isinstance(alices, Task)
    assert isinstance(bobs, SessionNotFound)


async def test_a_first_turn_that_fails_leaves_the_session_to_the_next(house: House) -> None:
    session = await begun_elsewhere(house)

    failed = await send(house, Fail("broken"), session=session)
    bobs = await send(house, Say("mine"), by=BOB, session=session)

    assert (failed.state, bobs.state) == (TaskState.FAILED, TaskState.COMPLETED)
    assert house.stage.owners.held[session] == Ownership(session, BOB)


async def test_a_first_turn_keeps_others_out_however_long_it_takes(house: House) -> None:
    session = await begun_elsewhere(house)
    await send(house, Delay(600), Say("at last"), session=session)
    await house.clock.turn(300)

    with pytest.raises(SessionNotFound):
        await send(house, Say("mine"), by=BOB, session=session)


async def test_who_failed_finds_another_session_if_it_became_somebody_elses(house: House) -> None:
    session = await begun_elsewhere(house)
    await send(house, Fail("broken"), session=session)
    await send(house, Say("mine"), by=BOB, session=session)

    alices = await send(house, Recall())

    assert alices.state is TaskState.COMPLETED
    assert session_of(alices).id != session
    assert "nothing" in text_of(alices)


async def test_a_task_canceled_before_its_session_was_used_leaves_it_free(house: House) -> None:
    session = await begun_elsewhere(house)
    await send(house, Hang(), session=session)
    waiting = await send(house, Say("never"), session=session, context=OTHER)
    await house.after(1, house.cancel(ALICE, waiting.id))

    assert house.stage.owners.held[session].until is not None


async def test_cancel_keeps_the_binding_and_the_session(house: House) -> None:
    first = await send(house, Say("hello"), Hang())
    await house.after(30, house.cancel(ALICE, first.id))

    second = await send(house, Say("again"))

    assert session_of(first) == session_of(second)
    assert house.stage.owners.held[session_of(first).id] == Ownership(session_of(first).id, ALICE)


async def test_a_sub_agents_session_cannot_be_bound(house: House) -> None:
    parent = await begun_elsewhere(house)
    child = Session(SessionId("ses-child"), Directory("/work"))
    house.agent.found[child.id] = FoundSession(child, parent)

    with pytest.raises(InvalidRequest, match="sub-agent") as refused:
        await send(house, Say("never"), session=child.id)

    assert refused.value.field == "metadata.shared.session.id"


async def test_a_session_outside_the_workspace_cannot_be_bound(house: House) -> None:
    outside = await begun_elsewhere(house, "/etc")

    with pytest.raises(SessionNotFound):
        await send(house, Say("never"), session=outside)


async def test_a_refusal_lets_go_of_the_session(house: House) -> None:
    session = await begun_elsewhere(house, "/work/one")

    with pytest.raises(InvalidRequest):
        await send(house, Say("never"), session=session, directory="two")

    assert house.stage.owners.held == {}


async def test_sessions_not_begun_here_may_be_forbidden(anyio_backend: str) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, claimable=False) as house:
        session = await begun_elsewhere(house, "/")
        with pytest.raises(SessionNotFound):
            await send(house, Say("never"), session=session)

        first = await send(house, Say("hello"))
        again = await send(house, Say("hello"), session=session_of(first).id, context=OTHER)

    assert session_of(first) == session_of(again)


async def test_a_task_stays_in_its_session(house: House) -> None:
    task = await send(house, AskInput("and?"))
    session, bobs = await begun_elsewhere(house), await send(house, Say("x"), by=BOB)

    with pytest.raises(InvalidRequest, match="another session"):
        await send(house, Say("never"), task=task, session=session)
    with pytest.raises(SessionNotFound):
        await send(house, Say("never"), task=task, session=session_of(bobs).id)
    await send(house, Say("well"), task=task, session=session_of(task).id)

    assert task.state is TaskState.COMPLETED


async def test_the_session_a_task_was_to_begin_in_is_not_replaced_if_it_is_gone(house: House) -> None:
    session = await begun_elsewhere(house)
    first = await send(house, Delay(10), session=session)
    waiting = await send(house, Say("never"), session=session, context=OTHER)
    house.agent.gone.add(session)

    await house.clock.turn(20)

    assert first.state.terminal
    assert waiting.state is TaskState.FAILED
    assert "no session" in status_of(waiting)[1]


async def test_a_task_not_begun_before_a_crash_begins_in_the_session_it_named(house: House) -> None:
    session = await begun_elsewhere(house)
    house.journal.held = True
    sending = asyncio.ensure_future(send(house, Say("hello"), session=session))
    await house.clock.turn()
    house.journal.release()
    house.agent.cut_off()

    async with reborn(house) as again:
        again.agent.reach()
        await again.recover()
        await again.clock.turn(5)
        (log,) = again.journal.logs.values()

        assert session_of(log.task).id == session
    sending.cancel()


# Lost


async def test_a_session_that_is_gone_is_replaced_and_the_client_is_told(house: House) -> None:
    first = await send(house, Say("hello"), directory="one")
    lost = session_of(first)
    house.agent.gone.add(lost.id)

    second = await send(house, Recall())
    third = await send(house, Say("on"))

    assert (second.state, third.state) == (TaskState.COMPLETED, TaskState.COMPLETED)
    assert session_of(second).id != lost.id
    assert session_of(second).directory == lost.directory == "/work/one"
    assert session_of(third) == session_of(second)
    assert [update.replaced for update in house.updates(second, TurnStarted)] == [None, lost.id]
    assert "does not remember" in second.history[1].text
    assert [update.replaced for update in house.updates(third, TurnStarted)] == [None]


async def test_tasks_that_wait_for_a_session_that_is_gone_share_the_new_one(house: House) -> None:
    first = await send(house, Say("hello"), Delay(10))
    waiting = [await send(house, Say(word)) for word in ("a", "b")]
    lost = session_of(first).id
    house.agent.gone.add(lost)

    await house.clock.turn(30)

    assert [task.state for task in waiting] == [TaskState.COMPLETED] * 2
    assert len({session_of(task).id for task in waiting} - {lost}) == 1
    assert house.agent.calls.count("open_session") == 2


async def test_a_queued_message_is_worked_on_although_the_session_goes_meanwhile(anyio_backend: str) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, to_working=ToWorking.QUEUE) as house:
        task = await send(house, Say("one "), Delay(10))
        await send(house, Say("two"), task=task)
        stage.agent.gone.add(session_of(task).id)

        await house.clock.turn(30)

        assert (text_of(task), task.state) == ("one two", TaskState.COMPLETED)


async def test_who_goes_on_with_a_task_whose_session_is_gone_is_told(house: House) -> None:
    task = await send(house, AskInput("and?"))
    lost = session_of(task).id
    house.agent.gone.add(lost)

    await send(house, Echo(), task=task)

    assert task.state is TaskState.COMPLETED
    assert session_of(task).id != lost
    assert any("does not remember" in message.text for message in task.history)


# Directories


async def test_a_message_chooses_a_directory_of_the_workspace(house: House) -> None:
    places = ("one", "/work/one", "/work/two/../one", "link")

    tasks = [await send(house, Say("x"), directory=place, context=ContextId(place)) for place in places]

    assert [session_of(task).directory for task in tasks] == ["/work/one"] * 3 + ["/work/two"]
    assert tasks[0].history[0].wishes.directory == "/work/one"


@pytest.mark.parametrize("place", ["..", "/etc", "out", "link/../../etc", "none", "one/a.txt", "/work/../work/../etc"])
async def test_nobody_gets_out_of_the_workspace_and_nothing_is_kept(house: House, place: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await send(house, Say("never"), directory=place)

    assert refused.value.field == "metadata.opencode.directory"
    assert "/etc" not in str(refused.value)
    assert house.journal.logs == {}


async def test_a_context_keeps_its_directory(house: House) -> None:
    first = await send(house, Say("x"), directory="one")
    same = await send(house, Say("x"), directory="/work/one/")

    assert session_of(first) == session_of(same)
    with pytest.raises(InvalidRequest, match="not where the session works"):
        await send(house, Say("never"), directory="two")
    with pytest.raises(InvalidRequest, match="not where the session works"):
        await send(house, Say("never"), directory="two", session=session_of(first).id, context=OTHER)


async def test_of_two_first_messages_at_once_that_disagree_about_the_directory_one_fails(house: House) -> None:
    messages = [
        evolve(house.message(Say("x"), context=CONTEXT), wishes=Wishes(directory=Directory(place)))
        for place in ("one", "two")
    ]
    await house.after(1, asyncio.gather(*(house.send(ALICE, message) for message in messages)))

    assert sorted(log.task.state.value for log in house.journal.logs.values()) == ["completed", "failed"]


async def test_without_override_only_the_workspace_itself_is_taken(anyio_backend: str) -> None:
    stage = Stage()
    stage.paths.directories.add("/one")
    async with stage.scripted, living(stage, override=False) as house:
        with pytest.raises(InvalidRequest, match="cannot be chosen"):
            await send(house, Say("never"), directory="one")

        assert (await send(house, Say("x"), directory="/")).state is TaskState.COMPLETED


async def test_a_runtime_without_a_workspace_lets_nobody_choose(house: House) -> None:
    house.agent.no_workspace = True

    with pytest.raises(InvalidRequest, match="no directory of anybody's choice"):
        await send(house, Say("never"), directory="one")
    assert (await send(house, Say("x"), session=await begun_elsewhere(house))).state is TaskState.COMPLETED


async def test_a_workspace_that_cannot_be_seen_is_kept_to_by_words(house: House) -> None:
    house.stage.paths.directories.clear()

    task = await send(house, Say("x"), directory="anything/below")

    assert session_of(task).directory == "/work/anything/below"
    for place in ("/etc", "one/../two"):
        with pytest.raises(InvalidRequest):
            await send(house, Say("never"), directory=place, context=OTHER)


# Files


def file(url: str) -> tuple[TextPart, UrlPart]:
    return TextPart("read this"), UrlPart(url)


async def test_a_file_of_the_workspace_reaches_the_runtime_by_its_real_path(house: House) -> None:
    house.stage.paths.links["/work/alias"] = "/work/one/a.txt"

    sent = house.said(*file("file:///work/alias?start=2"), context=CONTEXT)
    log = await house.after(1, house.send(ALICE, sent))

    assert not isinstance(log, Message)
    assert house.agent.prompts[-1].message.parts[1] == UrlPart("file:///work/one/a.txt?start=2")
    assert log.task.history[0].parts == sent.parts


@pytest.mark.parametrize("url", ["file:///etc/passwd", "file:///work/out/passwd", "FILE:///work/none", "file://h/work"])
async def test_no_other_file_does(house: House, url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await house.send(ALICE, house.said(*file(url)))

    assert refused.value.field == "message.parts[1].url"
    assert house.journal.logs == {}


async def test_a_link_that_leads_elsewhere_by_the_time_of_its_turn_is_not_followed(house: House) -> None:
    await send(house, Delay(10))
    log = await house.after(
        0, house.send(ALICE, house.said(*file("file:///work/one/a.txt"), context=CONTEXT), return_immediately=True)
    )
    house.stage.paths.links["/work/one/a.txt"] = "/etc/passwd"

    await house.clock.turn(20)

    assert not isinstance(log, Message)
    assert log.task.state is TaskState.FAILED
    assert not any(isinstance(part, UrlPart) for prompt in house.agent.prompts for part in prompt.message.parts)


async def test_files_of_a_disk_that_cannot_be_seen_are_not_taken(house: House) -> None:
    house.stage.paths.directories.clear()

    with pytest.raises(ContentTypeNotSupported):
        await house.send(ALICE, house.said(*file("file:///work/one/a.txt")))


# Model, agent and variant


async def test_what_a_message_chooses_goes_with_its_prompt_and_no_further(house: House) -> None:
    house.turns.options = PromptOptions(SONNET, "build", "Be kind.")

    await send(house, Say("x"), model=NANO, agent="plan")
    await send(house, Say("y"))

    chosen, configured = (prompt.options for prompt in house.agent.prompts)
    assert chosen == PromptOptions(NANO, "plan", "Be kind.")
    assert configured == house.turns.options


async def test_what_a_message_chooses_outlives_a_crash(house: House) -> None:
    house.agent.cut_off()
    task = await send(house, Say("x"), model=NANO, agent="plan", variant=None)
    house.agent.reach()

    async with reborn(house) as again:
        await again.recover()
        await again.clock.turn(5)

        assert again.journal.logs[task.id].task.state is TaskState.COMPLETED
    assert house.agent.prompts[-1].options == PromptOptions(NANO, "plan")


async def test_what_a_queued_message_chooses_goes_with_its_own_turn(anyio_backend: str) -> None:
    stage = Stage()
    async with stage.scripted, living(stage, to_working=ToWorking.QUEUE) as house:
        task = await send(house, Say("x"), Delay(10), model=SONNET)
        await send(house, Say("y"), task=task, model=NANO)
        await house.clock.turn(20)

    assert [prompt.options.model for prompt in stage.agent.prompts] == [SONNET, NANO]


@pytest.mark.parametrize(("agent", "variant"), [("nobody", None), (None, "nothing")])
async def test_what_there_is_not_is_refused_before_anything_is_kept(
    house: House, agent: str | None, variant: str | None
) -> None:
    session = await begun_elsewhere(house)

    for where in (None, session):
        with pytest.raises(InvalidRequest):
            await send(house, Say("never"), session=where, agent=agent, variant=variant)

    assert house.journal.logs == {}
    assert house.stage.owners.held == {}


async def test_what_there_is_is_looked_for_where_the_session_works(house: House) -> None:
    task = await send(house, AskInput("and?"), directory="one", model=NANO)
    await send(house, Say("x"), task=task, model=SONNET)
    await send(house, Say("y"), agent="plan")
    await send(house, Say("z"), agent="plan", context=OTHER)

    assert house.stage.choices.asked == ["/work/one", None]


async def test_an_answer_that_chooses_is_an_answer(house: House) -> None:
    task = await send(house, AskPermission("bash"), Say("done"))

    message = evolve(house.message(text="yes", task=task), wishes=Wishes(agent="plan"))
    await house.after(0, house.send(ALICE, message))

    assert task.state is TaskState.COMPLETED


# The store


async def test_a_claim_that_cannot_be_kept_refuses_the_message(house: House) -> None:
    session = await begun_elsewhere(house)
    house.stage.owners.broken = JournalUnavailable("full")

    with pytest.raises(JournalUnavailable):
        await send(house, Say("never"), session=session)

    assert house.journal.logs == {}


async def test_a_turn_waits_for_a_store_that_comes_back(house: House) -> None:
    house.stage.owners.broken = JournalUnavailable("full")
    task = await send(house, Say("hello"))
    house.stage.owners.broken = None

    await house.clock.turn(10)

    assert task.state is TaskState.COMPLETED
