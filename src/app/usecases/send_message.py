"""Send a message and wait for what comes of it."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.ports.journal import TaskLog
from opencode_a2a_server.app.usecases.accept_message import AcceptMessage
from opencode_a2a_server.app.usecases.create_push_config import CreatePushConfig
from opencode_a2a_server.app.usecases.subscribe import Subscription
from opencode_a2a_server.app.usecases.tasks import LOOK_SECONDS
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.message import Message
from opencode_a2a_server.domain.push import PushConfig


@frozen
class SendMessage:
    """
    Send a message; blocking, wait until the task has ended or waits for somebody (A2A 1.0, 3.1.1 and 3.2.2).

    Raises what `AcceptMessage` raises.
    """

    accept: AcceptMessage
    notify: CreatePushConfig | None = None
    """What keeps a push notification configuration that comes with a message; None if there is nothing to push."""

    async def __call__(
        self,
        principal: Principal,
        message: Message,
        *,
        return_immediately: bool = False,
        push: PushConfig | None = None,
    ) -> TaskLog | Message:
        """Give the task, or the runtime's bare reply. A caller that goes away does not stop the task."""
        if push is not None and self.notify is not None:
            await self.notify.check(principal, message.task_id, push)
        accepted = await self.accept(principal, message)
        if isinstance(accepted, Message):
            return accepted
        if push is not None and self.notify is not None:
            await self.notify.keep(accepted.log, accepted.seq, push)
        if return_immediately:
            return accepted.log
        following = Subscription.now(accepted.log, accepted.seq)
        while not (following.ended or self.accept.turns.stopping):
            await following.next(LOOK_SECONDS)
        return accepted.log
