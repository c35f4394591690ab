"""OpenCode as the port `Agent`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Self

import httpx
from attrs import define, field

from opencode_a2a_server.app.ports.agent import Hearing, Prompt, Readiness
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.offers import Offers
from opencode_a2a_server.app.ports.sessions import Sessions
from opencode_a2a_server.domain.changes import FileChange
from opencode_a2a_server.domain.errors import AgentFault, AgentRefused, AgentUnreachable, SessionLost
from opencode_a2a_server.domain.events import Recollection, SessionOpened, Telling
from opencode_a2a_server.domain.ids import MessageId, Principal, SessionId
from opencode_a2a_server.domain.interrupt import Answer, Interrupt, Permission
from opencode_a2a_server.domain.message import Json, Message
from opencode_a2a_server.domain.session import Directory, FoundSession, ModelChoice, PromptOptions, Session

from . import codec
from .catalog import OpenCodeCatalog
from .choices import OpenCodeChoices
from .client import Address, Client
from .feed import Feed, FeedHearing
from .files import OpenCodeFiles
from .instances import Instances, Keep
from .open_texts import OpenTexts
from .sessions import OpenCodeEditor, OpenCodeReader, OpenCodeWorker
from .watch import Watch
from .workspaces import OpenCodeWorkspaces

_NAMED = re.compile(r"ses_[A-Za-z0-9_-]{1,124}\Z")
"""How OpenCode names sessions; it breaks (500) over what is not named so."""
_WORKSPACE_SECONDS = 30.0
"""For how long OpenCode is believed to stay where it was started."""
_PROBE_SECONDS = 10.0
"""For OpenCode to answer when it is asked how it is; one that takes longer is of no use to anybody."""
_GENERATIONS = 8
"""How deep sub-agents of sub-agents are followed."""


@define(eq=False)
class OpenCode:
    """
    The runtime behind one `opencode serve`; a context manager while which its feed is kept up.

    Never more than one feed is open, prompts are admitted asynchronously (one long call would be cut by whatever
    stands between), and nothing of a client's gets into a path.
    """

    client: Client
    clock: Clock
    feed: Feed
    name: str = "OpenCode"
    default: ModelChoice | None = None
    """The model for what OpenCode wants to be told one and nobody chose."""
    instances: Instances = field(init=False)
    _tried: set[MessageId] = field(factory=set, init=False)
    _workspace: tuple[float, Directory] | None = field(default=None, init=False)
    _readiness: Readiness = field(default=Readiness(ready=True), init=False)

    @classmethod
    def at(  # noqa: PLR0913 - each by its name
        cls,
        address: Address,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        default: ModelChoice | None = None,
        keep: Keep | None = None,
        watch: Watch | None = None,
        shared: bool = False,
    ) -> Self:
        """Make the runtime at an address; if it is `shared`, what others have begun may have to be gone on with."""
        client, watch = Client.to(address, transport), watch or Watch(clock)
        client.watch = watch
        feed = Feed(client, clock, watch.meter, OpenTexts() if shared else None)
        agent = cls(client, clock, feed, default=default)
        agent.instances = Instances(client, clock, agent.workspace, keep or Keep())
        client.on_directory = agent.instances.use
        return agent

    async def __aenter__(self) -> Self:
        await self.feed.__aenter__()
        await self.instances.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.instances.__aexit__()
        await self.feed.__aexit__()
        await self.client.close()

    @property
    def offers(self) -> Offers:
        """See `Offering.offers`."""
        client = self.client
        sessions = Sessions(OpenCodeReader(client), OpenCodeEditor(client, self.default), OpenCodeWorker(client))
        return Offers(
            sessions,
            OpenCodeCatalog(client),
            OpenCodeWorkspaces(client),
            OpenCodeFiles(client),
            OpenCodeChoices(client),
            None if self.feed.texts is None else self.feed,
        )

    def check(self, message: Message) -> None:
        """See `Agent.check`."""
        codec.encode_parts(message)

    def new_prompt_id(self) -> MessageId:
        """Give an id in the form of OpenCode's own: ms of time in hexadecimal, then chance."""
        stamp = int(self.clock.now() * 1000) * 0x1000 & 0xFFFF_FFFF_FFFF
        return MessageId(f"msg_{stamp:012x}{secrets.token_hex(7)}")

    async def reply(self, principal: Principal, message: Message) -> Message | None:  # noqa: ARG002 - the port's
        """
        OpenCode always works on a task; here is where one is refused while it could not be worked on.

        Raises:
            AgentUnreachable: OpenCode was not ready when last seen, and is not now.

        """
        if not self._readiness.ready and not (await self.probe()).ready:
            raise AgentUnreachable(self._readiness.remedy)
        return None

    async def open_session(self, title: str, directory: Directory | None = None) -> Session:
        """See `Agent.open_session`."""
        return await self.client.create_session(title, directory)

    async def find_session(self, session_id: SessionId) -> FoundSession | None:
        """See `Agent.find_session`."""
        return await self.client.session(session_id) if _NAMED.match(session_id) else None

    async def workspace(self) -> Directory:
        """See `Agent.workspace`: the configured directory, else the one OpenCode was started in."""
        if self.client.address.directory is not None:
            return Directory(self.client.address.directory)
        if self._workspace is None or self.clock.monotonic() - self._workspace[0] > _WORKSPACE_SECONDS:
            self._workspace = (self.clock.monotonic(), await self.client.own_directory())
        return self._workspace[1]

    def hear(self, session: Session) -> AbstractAsyncContextManager[Hearing]:
        """See `Agent.hear`. Nothing that goes on in a directory is disposed of meanwhile."""
        return _Listening(self, session)

    async def prompt(self, prompt: Prompt) -> None:
        """See `Agent.prompt`. An id that was sent before is looked for first: sent twice, its parts would double."""
        if prompt.id in self._tried and await self.client.has_message(prompt.session.id, prompt.id):
            self._tried.discard(prompt.id)
            return
        self._tried.add(prompt.id)
        try:
            await self.client.prompt(prompt.session.id, _prompt_body(prompt.id, prompt.message, prompt.options))
        except AgentRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                raise SessionLost(f"OpenCode has no session {prompt.session.id} any more", refused.status) from refused
            raise
        self._tried.discard(prompt.id)

    async def recall(self, session: Session, prompt: MessageId) -> Recollection:
        """See `Agent.recall`. What is at work is asked first: the messages are then at least as new."""
        if not await self.client.has_session(session.id):
            return Recollection(frozenset(), (), known=False)
        busy = await self.client.busy(session)
        told = await self._retell(session.id, prompt)
        asked = await self.client.asked(session) if session.id in busy else []
        return Recollection(busy, tuple(told), tuple(asked))

    async def _retell(self, session: SessionId, prompt: MessageId) -> list[Telling]:
        told = codec.decode_messages(await self.client.messages(session, prompt))
        generation, seen = [session], {session}
        for _ in range(_GENERATIONS):
            born = [(parent, child) for parent in generation for child in await self.client.children(parent)]
            born = [(parent, child) for parent, child in born if child not in seen]
            for parent, child in born:
                seen.add(child)
                self.feed.adopt(child, parent)
                told.append(SessionOpened(child, parent))
                told += codec.decode_messages(await self.client.messages(child, None))
            if not (generation := [child for _, child in born]):
                break
        return told

    async def changes(self, session: Session, prompt: MessageId) -> Sequence[FileChange]:
        """See `Agent.changes`. OpenCode compares snapshots; without them, or without git, it knows of nothing."""
        return await self.client.changes(session.id, prompt)

    async def answer(self, session: Session, interrupt: Interrupt, answer: Answer) -> bool:
        """See `Agent.answer`."""
        kind = "permission" if isinstance(interrupt, Permission) else "question"
        verb, body = codec.encode_answer(answer)
        return await self.client.answer(session, kind, interrupt.id, verb, body)

    async def abort(self, session: Session) -> None:
        """See `Agent.abort`."""
        await self.client.abort(session.id)

    async def probe(self) -> Readiness:
        """See `Agent.probe`."""
        self._readiness = await self._look()
        return self._readiness

    async def _look(self) -> Readiness:
        url = self.client.address.url
        try:
            version = await self.clock.within(_PROBE_SECONDS, self._version())
        except TimeoutError:
            return Readiness(
                ready=False,
                remedy=f"OpenCode at {url} takes connections but has not answered for {_PROBE_SECONDS:g} s; "
                "it hangs: restart it, and look at its memory",
            )
        except AgentRefused as refused:
            return Readiness(ready=False, remedy=str(refused))
        except AgentUnreachable as gone:
            return Readiness(ready=False, remedy=f"{gone}; is `opencode serve` running at {url} (OPENCODE_BASE_URL)?")
        except AgentFault as fault:
            return Readiness(
                ready=False, remedy=f"{fault}; what answers at {url} is not OpenCode 1.x (2.x speaks another dialect)"
            )
        if not version.startswith("1."):
            return Readiness(ready=False, version=version, remedy=f"OpenCode {version} is not supported: 1.x is needed")
        return Readiness(ready=True, version=version)

    async def _version(self) -> str:
        """Ask for the version, then something of its home: an OpenCode that hangs may still say that it is well."""
        version = await self.client.version()
        if version.startswith("1."):
            await self.client.is_in_use(await self.workspace())
        return version


@define(eq=False)
class _Listening:
    """To hear a session; made of little, since a turn that waits for somebody keeps it for long."""

    of: OpenCode
    session: Session
    hearing: FeedHearing | None = None

    async def __aenter__(self) -> Hearing:
        self.of.instances.enter(self.session.directory)
        self.hearing = self.of.feed.hear(self.session.id)
        return self.hearing

    async def __aexit__(self, *_: object) -> None:
        if self.hearing is not None:
            self.of.feed.forget(self.hearing)
            self.of.instances.leave(self.session.directory)
        self.hearing = None


def _prompt_body(prompt: MessageId, message: Message, options: PromptOptions) -> Mapping[str, Json]:
    body: dict[str, Json] = {"messageID": prompt, "parts": codec.encode_parts(message)}
    if options.model is not None:
        body["model"] = {"providerID": options.model.provider_id, "modelID": options.model.model_id}
    chosen: dict[str, Json] = {"agent": options.agent, "system": options.system, "variant": options.variant}
    return body | {name: value for name, value in chosen.items() if value}
