"""
A server of the SDK for A2A 0.3, a2a-sdk, and of nothing of ours: the same agent as `tck-0.3.toml` has, which asks for more.

What no right service passes, this one does not pass either. It runs in an environment of its own, where the project is
not installed: `python reference.py PORT REST_PORT GRPC_PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import uvicorn
from a2a.grpc import a2a_pb2_grpc
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.apps import A2ARESTFastAPIApplication, A2AStarletteApplication
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, HTTPAuthSecurityScheme, SecurityScheme
from a2a.utils import new_agent_text_message, new_task


class Asking(AgentExecutor):
    """An agent that wants to know more, whatever it is told."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Have the task wait for input."""
        task = context.current_task
        if task is None:
            task = new_task(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.requires_input(new_agent_text_message("What else should I know?", task.context_id, task.id))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Cancel the task."""
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card(port: int, rest_port: int, grpc_port: int) -> AgentCard:
    """Describe the agent; it has a security scheme, which nothing here looks at."""
    chat = AgentSkill(id="ask", name="Ask", description="Asks for more.", tags=["ask"])
    return AgentCard(
        name="The SDK",
        description="An agent behind a server of the SDK.",
        version="1",
        url=f"http://127.0.0.1:{port}/",
        preferred_transport="JSONRPC",
        additional_interfaces=[
            AgentInterface(url=f"http://127.0.0.1:{port}/", transport="JSONRPC"),
            AgentInterface(url=f"http://127.0.0.1:{rest_port}", transport="HTTP+JSON"),
            AgentInterface(url=f"127.0.0.1:{grpc_port}", transport="GRPC"),
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[chat],
        security_schemes={"bearer": SecurityScheme(HTTPAuthSecurityScheme(scheme="bearer"))},
        security=[{"bearer": []}],
        supports_authenticated_extended_card=True,
    )


async def serve(port: int, rest_port: int, grpc_port: int) -> None:
    """Serve over all three transports until the process is ended."""
    told = card(port, rest_port, grpc_port)
    handler = DefaultRequestHandler(agent_executor=Asking(), task_store=InMemoryTaskStore())
    over_grpc = grpc.aio.server()
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(told, handler), over_grpc)
    over_grpc.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await over_grpc.start()
    jsonrpc = A2AStarletteApplication(told, handler, extended_agent_card=told).build()
    rest = A2ARESTFastAPIApplication(told, handler, extended_agent_card=told).build()
    await asyncio.gather(_http(rest, rest_port), _http(jsonrpc, port))
    await over_grpc.stop(None)


async def _http(app: Any, port: int) -> None:
    await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")).serve()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
