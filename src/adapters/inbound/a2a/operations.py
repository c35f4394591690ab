"""The operations of A2A 1.0, 3.1, whatever the binding: call the use case, encode what it gives."""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve, field, frozen

from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.usecases.audit_access import AuditAccess
from opencode_a2a_server.app.usecases.cancel_task import CancelTask
from opencode_a2a_server.app.usecases.get_task import GetTask
from opencode_a2a_server.app.usecases.list_tasks import ListTasks
from opencode_a2a_server.app.usecases.send_message import SendMessage
from opencode_a2a_server.app.usecases.stream_message import StreamMessage
from opencode_a2a_server.app.usecases.subscribe import Subscribe, Subscription
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig

from . import encode
from .bare import telling
from .card.negotiation import Negotiation
from .card.served import Card, Cards, Form
from .errors import PushNotificationNotSupported
from .methods.row import MethodServices
from .page_token import token_out
from .parameters import Call
from .push import Push, PushServices
from .requests import ListRequest, SendRequest, TaskRequest
from .sse import Feed
from .watch import traced

_Told = TypeVar("_Told")


@frozen
class Services:
    """The use cases that are served."""

    send_message: SendMessage
    stream_message: StreamMessage
    get_task: GetTask
    list_tasks: ListTasks
    cancel_task: CancelTask
    subscribe: Subscribe
    push: PushServices | None = None
    """None if no notifications are sent."""
    methods: MethodServices = field(factory=MethodServices)
    """What is behind extension methods."""
    record: AuditAccess = field(factory=AuditAccess)
    """What tells the audit who did what."""


@frozen
class Operations:
    """
    Each operation gives encoded JSON, or a feed for those which stream.

    A task is encoded before anything is awaited, and told once what was encoded survives a crash: nobody reads of a
    task what a restart could take back.
    """

    services: Services
    cards: Cards
    negotiation: Negotiation
    _encoders: encode.Encoders = field(factory=encode.Encoders, init=False)

    def extended_card(self, call: Call, form: Form) -> Card:
        """
        Get the extended card (3.1.11).

        Raises:
            UnsupportedOperation, ExtendedCardNotConfigured: There is none.

        """
        return self.cards.extended(form, call.url)

    @property
    def push(self) -> Push:
        """
        The operations of push notification configuration (3.1.7 to 3.1.10).

        Raises:
            PushNotificationNotSupported: There are none.

        """
        if self.services.push is None:
            raise PushNotificationNotSupported("this agent sends no push notifications; stream, subscribe or poll")
        return Push(self.services.push)

    def _shape(self, call: Call) -> encode.Shape:
        """Give the shape of what the caller is told: without what of our metadata has to be asked for and was not."""
        return telling(call.shape, self.negotiation.telling(call.extensions, call.shape.words))

    def _asked_with(self, call: Call, request: SendRequest) -> PushConfig | None:
        """
        Give the configuration that comes with a message, if there is one; it is told in its client's words.

        Raises:
            PushNotificationNotSupported: There is one, and it is of no use.

        """
        if request.push is None:
            return None
        call.check("CreateTaskPushNotificationConfig")
        _ = self.push
        return evolve(request.push, words=call.shape.words)

    async def send(self, call: Call, request: SendRequest) -> bytes:
        """Send a message (3.1.1)."""
        call.check("SendMessage")
        sent = await self.services.send_message(
            call.principal,
            traced(request.message),
            return_immediately=request.return_immediately or not call.awaited,
            push=self._asked_with(call, request),
        )
        if isinstance(sent, Message):
            return encode.message_response(sent, shape=self._shape(call))
        return await _durable(sent, encode.task_response(sent.task, request.history_length, shape=self._shape(call)))

    async def get(self, call: Call, request: TaskRequest) -> bytes:
        """Get a task (3.1.3)."""
        call.check("GetTask", reads=True)
        log = await self.services.get_task(call.principal, request.task_id)
        return await _durable(log, encode.task_result(log.task, request.history_length, shape=self._shape(call)))

    async def list(self, call: Call, request: ListRequest) -> bytes:
        """List tasks (3.1.4)."""
        call.check("ListTasks", reads=True)
        listing = await self.services.list_tasks(call.principal, request.wanted, request.size, request.after)
        tasks = []
        async for log in listing.logs():
            told = encode.listed_task(
                log.task, request.history_length, with_artifacts=request.with_artifacts, shape=self._shape(call)
            )
            tasks.append(await _durable(log, told))
        return encode.list_response(tasks, token_out(listing.page.next), request.size, listing.page.total)

    async def cancel(self, call: Call, request: TaskRequest) -> bytes:
        """Cancel a task (3.1.5)."""
        call.check("CancelTask")
        async with self.services.record.doing(call.principal, "task.cancel", {"task": request.task_id}):
            log = await self.services.cancel_task(call.principal, request.task_id)
        return await _durable(log, encode.task_result(log.task, shape=self._shape(call)))

    async def stream(self, call: Call, request: SendRequest) -> Feed:
        """Send a message and follow its task (3.1.2)."""
        call.check("SendStreamingMessage")
        streamed = await self.services.stream_message(
            call.principal, traced(request.message), call.cursor, push=self._asked_with(call, request)
        )
        if isinstance(streamed, Message):
            return Feed(encode.Line(encode.message_response(streamed, shape=self._shape(call))))
        return await self._opened(call, streamed, request.history_length)

    async def subscribe(self, call: Call, request: TaskRequest) -> Feed:
        """Follow a task (3.1.6)."""
        call.check("SubscribeToTask", reads=True)
        return await self._opened(call, await self.services.subscribe(call.principal, request.task_id, call.cursor))

    async def _opened(self, call: Call, subscription: Subscription, history_length: int | None = None) -> Feed:
        """Open with the task, unless the reader has it."""
        log = subscription.log
        encoder = self._encoders.of(log.task, self._shape(call))
        if subscription.resumed:
            return Feed(None, subscription, encoder)
        return Feed(await _durable(log, encoder.opening(history_length, gap=subscription.gap)), subscription, encoder)


async def _durable(log: TaskLog, told: _Told) -> _Told:
    """Give what is told of the task when it can be told."""
    await log.durable(log.task.seq)
    return told
