"""The application on a stage: real use cases over a journal in memory, with messages accepted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

import httpx
from attrs import define, evolve, field, frozen
from litestar import Litestar
from litestar.utils.signature import ParsedSignature

from opencode_a2a_server.adapters.inbound.a2a.app import create_app
from opencode_a2a_server.adapters.inbound.a2a.auth import Authenticate, BearerTokens
from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS, CardInfo
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.inbound.a2a.front import Manners
from opencode_a2a_server.adapters.inbound.a2a.jwks import NO_KEYS
from opencode_a2a_server.adapters.inbound.a2a.methods.row import MethodServices
from opencode_a2a_server.adapters.inbound.a2a.notifications import Notifications
from opencode_a2a_server.adapters.inbound.a2a.offering import offer
from opencode_a2a_server.adapters.inbound.a2a.operations import Operations, Services
from opencode_a2a_server.adapters.inbound.a2a.push import PushServices
from opencode_a2a_server.adapters.outbound.signing.keys import SigningKeys
from opencode_a2a_server.app.usecases.accept_message import Accepted, AcceptMessage
from opencode_a2a_server.app.usecases.audit_access import AuditAccess
from opencode_a2a_server.app.usecases.cancel_task import CancelTask
from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.delete_push_config import DeletePushConfig
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates
from opencode_a2a_server.app.usecases.get_push_config import GetPushConfig
from opencode_a2a_server.app.usecases.get_task import GetTask
from opencode_a2a_server.app.usecases.list_push_configs import ListPushConfigs
from opencode_a2a_server.app.usecases.list_tasks import ListTasks
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.send_message import SendMessage
from opencode_a2a_server.app.usecases.stream_message import StreamMessage
from opencode_a2a_server.app.usecases.subscribe import Subscribe
from opencode_a2a_server.app.usecases.tasks import owned
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.updates import MessageReceived, TaskSubmitted
from tests.adapters.inbound.a2a.keys import signer_of
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import TurnedClock
from tests.fakes.ids import CountedIds
from tests.fakes.journal import FakeJournal, FakeLog
from tests.fakes.notifier import FakeNotifier
from tests.fakes.push_configs import FakePushConfigs

TOKEN = "let-me-in"  # noqa: S105 - a test's
PRINCIPAL = Principal("bearer:a3ee786b5707")
HEADERS = {"authorization": f"Bearer {TOKEN}", "a2a-version": "1.0"}
CARD = CardInfo(
    title="OpenCode",
    description="A coding agent.",
    version="1.2.3",
    public_url="https://agent.example",
    documentation_url="https://agent.example/docs",
    modified=1_700_000_000.0,
    unasked="always",  # so that tests see all there is; test_bare.py has what is left out
)


_read: Final = ParsedSignature.from_fn
_READ: Final[dict[Any, tuple[Mapping[str, Any], ParsedSignature]]] = {}


def _read_once(handler: Any, namespace: dict[str, Any]) -> ParsedSignature:
    """
    Remember what Litestar reads from a handler's annotations.

    They are the same for each of thousands of applications that are made here, and to read them takes half of the time.
    """
    code = getattr(handler, "__code__", handler)
    known = _READ.get(code)
    if known is None or known[0] != namespace:
        known = _READ[code] = (namespace, _read(handler, namespace))
    return known[1]


ParsedSignature.from_fn = _read_once  # type: ignore[method-assign,assignment]


@frozen
class Turns:
    """Stands in for the turns: none is under way."""

    stopping: bool = False

    def cancel(self, _task_id: TaskId) -> bool:
        """Find no turn of this task."""
        return False


@define(eq=False)
class Accepting:
    """Stands in for `AcceptMessage`: a message becomes a task, or whatever `answer` says."""

    journal: FakeJournal
    turns: Turns = field(factory=Turns)
    answer: Message | Exception | None = None
    heard: list[Message] = field(factory=list)

    async def __call__(self, principal: Principal, message: Message) -> Accepted | Message:
        """See `AcceptMessage`."""
        self.heard.append(message)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if message.task_id is None:
            log = await self.journal.create(
                TaskId(f"task-{len(self.journal.logs) + 1}"),
                TaskSubmitted(message.context_id or ContextId("context-1"), principal, message),
            )
        else:
            log = cast("FakeLog", await owned(self.journal, principal, message.task_id))
            log.append([MessageReceived(message)])
        seq = log.task.seq
        await log.durable()
        return Accepted(log, seq)


@define(eq=False)
class Stage:
    """Everything a test touches."""

    clock: TurnedClock = field(factory=TurnedClock)
    pushes: bool = False
    notifier: FakeNotifier = field(factory=FakeNotifier)
    drain: Drain = field(factory=Drain)
    versions: Sequence[str] = VERSIONS
    keys: Mapping[str, Any] = field(factory=lambda: NO_KEYS)
    methods: MethodServices = field(factory=MethodServices)
    manners: Manners = field(factory=Manners)
    required: Sequence[str] = ()
    card: CardInfo = CARD
    at: PublicUrl | None = None
    signed_with: SigningKeys | None = None
    authenticate: Authenticate = field(factory=lambda: BearerTokens.of([TOKEN]))
    audit: FakeAudit = field(factory=FakeAudit)
    journal: FakeJournal = field(init=False)
    accept: Accepting = field(init=False)
    _app: Litestar | None = field(default=None, init=False)
    _push: PushServices | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.journal = FakeJournal(self.clock)
        self.accept = Accepting(self.journal)

    @property
    def app(self) -> Litestar:
        """Give the application; made when it is first asked for, which takes longer than most requests."""
        if self._app is None:
            self._app = create_app(
                self.operations(),
                authenticate=self.authenticate,
                drain=self.drain,
                body_limit=4096,
                manners=self.manners,
                keys=self.keys if self.signed_with is None else self.signed_with.jwks,
            )
        return self._app

    def operations(self) -> Operations:
        """Offer the use cases."""
        card = evolve(self.card, push=self.pushes, required=tuple(self.required))
        signer = None if self.signed_with is None else signer_of(self.signed_with)
        return offer(self.services(), card, versions=self.versions, at=self.at, signer=signer)

    def services(self) -> Services:
        """Wire the use cases."""
        accept = cast("AcceptMessage", self.accept)
        subscribe = Subscribe(self.journal)
        push = self.push() if self.pushes else None
        notify = push.create if push else None
        return Services(
            send_message=SendMessage(accept, notify),
            stream_message=StreamMessage(accept, self.journal, subscribe, notify),
            get_task=GetTask(self.journal),
            list_tasks=ListTasks(self.journal),
            cancel_task=CancelTask(self.journal, cast("RunTurns", self.accept.turns)),
            subscribe=subscribe,
            push=push,
            methods=self.methods,
            record=AuditAccess(self.audit, self.clock),
        )

    def push(self) -> PushServices:
        """Wire the use cases of push notifications, once: all bindings know the same configurations."""
        if self._push is not None:
            return self._push
        journal, configs, notifier, clock = self.journal, FakePushConfigs(), self.notifier, self.clock
        deliver = DeliverUpdates(journal, configs, notifier, Notifications(), clock, lambda: 1.0)
        self._push = PushServices(
            create=CreatePushConfig(journal, configs, notifier, deliver, CountedIds("config"), clock),
            get=GetPushConfig(journal, configs),
            list=ListPushConfigs(journal, configs),
            delete=DeletePushConfig(journal, configs, deliver),
        )
        return self._push

    async def end(self) -> None:
        """Let nothing be under way any more."""
        if self._push is not None:
            await self._push.create.deliver.__aexit__()

    async def begin(self, task_id: str = "task-1", principal: Principal = PRINCIPAL) -> FakeLog:
        """Have a task."""
        submitted = TaskSubmitted(ContextId("context-1"), principal, said("hello"))
        log = await self.journal.create(TaskId(task_id), submitted)
        await log.durable()
        return log

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """Give a client of the application."""
        transport = httpx.ASGITransport(app=cast("Any", self.app))
        return httpx.AsyncClient(
            transport=transport, base_url=CARD.public_url, headers=HEADERS if headers is None else headers
        )

    async def rpc(self, method: str, params: object = None, **more: object) -> Mapping[str, Any]:
        """Call a method; gives the answer's body."""
        async with self.client() as client:
            answer = await client.post(
                "/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **more}
            )
        told: Mapping[str, Any] = answer.json()
        return told


@cache
def untouched() -> Stage:
    """Give the one stage for all that are refused, or only look: no message gets through, so nothing comes of them."""
    stage = Stage()
    stage.accept.answer = AssertionError("a message got through")
    return stage


def said(text: str, message_id: str = "message-1") -> Message:
    """Say something as a client."""
    return Message(MessageId(message_id), Role.USER, (TextPart(text),))


def message_json(text: str = "hello", **more: object) -> dict[str, Any]:
    """Say it in JSON."""
    return {"messageId": "message-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}
