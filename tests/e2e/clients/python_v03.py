# mypy: ignore-errors
# A user's program, for types which are not those of the SDK installed here:
# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202, ANN204, S106, T201
"""
A user's program on a2a-sdk 0.3, run with that package installed: see `main`.

It prints one JSON object, with what each of its conversations came to.
"""

import asyncio
import base64
import json
import sys
import uuid

try:
    import grpc
except ImportError:  # only one binding needs it
    grpc = None
import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.errors import A2AClientHTTPError, A2AClientJSONRPCError
from a2a.types import (
    FilePart,
    FileWithBytes,
    GetTaskPushNotificationConfigParams,
    Message,
    Part,
    PushNotificationConfig,
    Role,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TextPart,
    TransportProtocol,
)


def said(text, task=None, *parts):
    """Say something, in a task if there is one."""
    return Message(
        message_id=uuid.uuid4().hex,
        role=Role.user,
        parts=[Part(root=TextPart(text=text)), *(Part(root=part) for part in parts)],
        task_id=task and task.id,
        context_id=task and task.context_id,
    )


def text_of(task):
    """Read all that an agent gave."""
    return "".join(part.root.text for artifact in task.artifacts or [] for part in artifact.parts)


class Conversations:
    """Everything that is tried, by one way to send."""

    def __init__(self, http, card, transport, token, hook):
        self.hook = hook

        def client(**options):
            config = ClientConfig(
                httpx_client=http,
                grpc_channel_factory=lambda url: channel(url, token),
                supported_transports=[transport],
                use_client_preference=True,
                **options,
            )
            return ClientFactory(config).create(card)

        self.streaming, self.waiting, self.polling = (
            client(),
            client(streaming=False),
            client(streaming=False, polling=True),
        )

    async def sent(self, client, message):
        """Send, and give the task as it is at the end."""
        events = [event async for event in client.send_message(message)]
        return events[-1][0]

    async def send(self):
        task = await self.sent(self.waiting, said("[[say hello there]]"))
        return [task.status.state, text_of(task)]

    async def stream(self):
        events = [event async for event in self.streaming.send_message(said("[[say one two three]]"))]
        updates = [update for _, update in events]
        finals = [update.final for update in updates if update is not None and update.kind == "status-update"]
        return [events[-1][0].status.state, text_of(events[-1][0]), updates[0] is None, finals[-1], any(finals[:-1])]

    async def get(self):
        task = await self.sent(self.waiting, said("hello"))
        got = await self.waiting.get_task(TaskQueryParams(id=task.id, history_length=1))
        return [got.id == task.id, got.status.state, len(got.history or [])]

    async def cancel(self):
        task = await self.sent(self.polling, said("[[hang 30]]"))
        canceled = await self.polling.cancel_task(TaskIdParams(id=task.id))
        return [task.status.state in ("submitted", "working"), canceled.status.state, await self.refusal(canceled)]

    async def refusal(self, task):
        """Cancel once more, and say how that is refused."""
        return await failed(self.polling.cancel_task(TaskIdParams(id=task.id)))

    async def resubscribe(self):
        task = await self.sent(self.polling, said("[[delay 1]] [[say late words]]"))
        events = [event async for event in self.streaming.resubscribe(TaskIdParams(id=task.id))]
        return [events[0][1] is None, events[-1][0].status.state, text_of(events[-1][0])]

    async def asked(self):
        """Answer what the agent asks, once over a stream and once without."""
        states = []
        for client in (self.streaming, self.waiting):
            task = await self.sent(client, said("[[ask input What else?]]"))
            states += [task.status.state, task.status.message.parts[0].root.text]
            done = await self.sent(client, said("[[complete fine]]", task))
            states += [done.status.state, done.id == task.id]
        return states

    async def permitted(self):
        task = await self.sent(self.waiting, said("[[ask permission bash rm *]] [[say done]]"))
        kinds = [part.root.kind for part in task.status.message.parts]
        done = await self.sent(self.waiting, said("yes", task))
        return [task.status.state, kinds, done.status.state, text_of(done)]

    async def files(self):
        sent = FilePart(file=FileWithBytes(bytes=base64.b64encode(b"\x89PNG").decode(), mime_type="image/png"))
        task = await self.sent(self.waiting, said("[[file notes.txt text/plain some words]]", None, sent))
        got = await self.waiting.get_task(TaskQueryParams(id=task.id))
        given = next(part.root.file for artifact in task.artifacts for part in artifact.parts)
        back = next(part.root.file for part in got.history[0].parts if part.root.kind == "file")
        return [given.name, base64.b64decode(given.bytes).decode(), back.bytes == sent.file.bytes]

    async def bare(self):
        events = [event async for event in self.streaming.send_message(said("[[reply just a message]]"))]
        return [event.parts[0].root.text for event in events]

    async def push(self):
        """Have somebody else told how a task goes on."""
        task = await self.sent(self.waiting, said("[[ask input What else?]]"))
        wanted = PushNotificationConfig(id="mine", url=self.hook, token="my-token")
        asked = TaskPushNotificationConfig(task_id=task.id, push_notification_config=wanted)
        made = await self.waiting.set_task_callback(asked)
        named = GetTaskPushNotificationConfigParams(id=task.id, push_notification_config_id="mine")
        got = await self.waiting.get_task_callback(named)
        await self.sent(self.waiting, said("[[complete fine]]", task))
        urls = [one.push_notification_config.url == self.hook for one in (made, got)]
        return [*urls, got.push_notification_config.token, task.id]

    async def card(self):
        """Get the card that is for those who are known."""
        return sorted(skill.id for skill in (await self.waiting.get_card()).skills)

    async def errors(self):
        nothing = self.waiting.get_task(TaskQueryParams(id="nothing"))
        return [await failed(nothing), await failed(anext(aiter(self.streaming.send_message(said("x", gone())))))]


def channel(url, token):
    """Open a channel whose calls bring the token."""

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await continuation(with_token(details), request)

    class Stream(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(self, continuation, details, request):
            return await continuation(with_token(details), request)

    def with_token(details):
        metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {token}"))
        return details._replace(metadata=metadata)

    return grpc.aio.insecure_channel(url, interceptors=[Unary(), Stream()])


def gone():
    """Stand in for a task that nobody knows."""
    return type("Task", (), {"id": "nothing", "context_id": None})


async def failed(call):
    """Give the code of an error."""
    try:
        await call
    except A2AClientJSONRPCError as error:
        return error.error.code
    except A2AClientHTTPError as error:
        return error.status_code
    except Exception as error:
        if grpc is None or not isinstance(error, grpc.aio.AioRpcError):
            raise
        return error.code().name
    return None


async def main(url, token, transport, hook, *operations):
    """Try the operations: `URL TOKEN JSONRPC|HTTP+JSON|GRPC HOOK OPERATION...`."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        conversations = Conversations(http, card, TransportProtocol(transport), token, hook)
        print(json.dumps({name: await getattr(conversations, name)() for name in operations}))


asyncio.run(main(*sys.argv[1:]))
