"""Send a message and follow what comes of it."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal
from opencode_a2a_server.app.usecases.accept_message import AcceptMessage
from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.subscribe import Cursor, Subscribe, Subscription
from opencode_a2a_server.domain.errors import TaskNotFound
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig


@frozen
class StreamMessage:
    """
    Send a message and follow its task (A2A 1.0, 3.1.2).

    A repeated request which says what it has seen (`Last-Event-ID`, as browsers and proxies repeat a broken stream)
    resumes the stream of the message it sent before: nothing runs twice. Raises what `AcceptMessage` raises.
    """

    accept: AcceptMessage
    journal: Journal
    subscribe: Subscribe
    notify: CreatePushConfig | None = None
    """See `SendMessage`."""

    async def __call__(
        self,
        principal: Principal,
        message: Message,
        cursor: Cursor | None = None,
        *,
        push: PushConfig | None = None,
    ) -> Subscription | Message:
        """Give the stream, or the runtime's bare reply."""
        if cursor is not None and await self._said_before(principal, message, cursor):
            return await self.subscribe(principal, cursor.task_id, cursor)
        if push is not None and self.notify is not None:
            await self.notify.check(principal, message.task_id, push)
        accepted = await self.accept(principal, message)
        if isinstance(accepted, Message):
            return accepted
        if push is not None and self.notify is not None:
            await self.notify.keep(accepted.log, accepted.seq, push)
        return Subscription.now(accepted.log, accepted.seq, meter=self.subscribe.meter)

    async def _said_before(self, principal: Principal, message: Message, cursor: Cursor) -> bool:
        try:
            log = await self.journal.open(cursor.task_id)
        except TaskNotFound:
            return False
        said = (known.message_id for known in log.task.history)
        return log.task.principal == principal and message.message_id in said
