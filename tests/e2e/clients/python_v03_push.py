# mypy: ignore-errors
# A user's program, for types which are not those of the SDK installed here:
# ruff: noqa: ANN001, ANN003, ANN201, ANN202, S106, T201
"""
Push notifications on a2a-sdk 0.3: `python_v03_push.py URL TOKEN JSONRPC|HTTP+JSON HOOK`.

It prints one JSON object, with what each of its steps came to.
"""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import (
    GetTaskPushNotificationConfigParams,
    Message,
    Part,
    PushNotificationAuthenticationInfo,
    PushNotificationConfig,
    Role,
    TaskPushNotificationConfig,
    TextPart,
    TransportProtocol,
)


def said(text, task=None):
    """Say something, in a task if there is one."""
    return Message(
        message_id=uuid.uuid4().hex,
        role=Role.user,
        parts=[Part(root=TextPart(text=text))],
        task_id=task and task.id,
        context_id=task and task.context_id,
    )


async def sent(client, message):
    """Send, and give the task as it is at the end."""
    events = [event async for event in client.send_message(message)]
    return events[-1][0]


def seen(found):
    """Say what one reads of a configuration."""
    config = found.push_notification_config
    proof = config.authentication and [config.authentication.schemes, config.authentication.credentials]
    return [config.id, config.token, proof]


async def main(url, token, transport, hook):
    """Go through all there is."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False) as http:
        card = await A2ACardResolver(http, url).get_agent_card()

        def client(**options):
            config = ClientConfig(
                httpx_client=http,
                supported_transports=[TransportProtocol(transport)],
                use_client_preference=True,
                streaming=False,
                **options,
            )
            return ClientFactory(config).create(card)

        plain = client()
        task = await sent(plain, said("[[ask input What else?]]"))
        proof = PushNotificationAuthenticationInfo(schemes=["Bearer"], credentials="my-credentials")
        named = PushNotificationConfig(id="mine", url=hook, token="my-token", authentication=proof)
        unnamed = PushNotificationConfig(url=hook, token="my-token")

        results = {}
        for config in (named, unnamed, unnamed):
            made = await plain.set_task_callback(
                TaskPushNotificationConfig(task_id=task.id, push_notification_config=config)
            )
            results.setdefault("set", []).append([made.task_id == task.id, seen(made)[0].replace(task.id, "TASK")])
        by_name = GetTaskPushNotificationConfigParams(id=task.id, push_notification_config_id="mine")
        results["get"] = seen(await plain.get_task_callback(by_name))
        found = await plain.get_task_callback(GetTaskPushNotificationConfigParams(id=task.id))
        results["get without an id"] = seen(found)[0].replace(task.id, "TASK")
        await sent(plain, said("[[complete fine]]", task))

        pushed = client(push_notification_configs=[unnamed])
        done = await sent(pushed, said("hello there"))
        results["with a message"] = done.status.state
        print(json.dumps({"results": results, "asked": task.id, "sent": done.id}))


asyncio.run(main(*sys.argv[1:]))
