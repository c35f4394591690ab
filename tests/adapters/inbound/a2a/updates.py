"""Updates to tell, of every kind."""

from __future__ import annotations

from opencode_a2a_server.domain.events import Failure
from opencode_a2a_server.domain.ids import ArtifactId, MessageId, Principal, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Inquiry, Interrupt, Option, Permission, Question
from opencode_a2a_server.domain.message import DataPart, Part, RawPart, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    CancelRequested,
    InterruptRaised,
    InterruptResolved,
    MessageReceived,
    StatusChanged,
    TextAppended,
    TurnStarted,
    Update,
)
from opencode_a2a_server.domain.usage import Usage
from tests.adapters.inbound.a2a.stage import said

SESSION = Session(SessionId("ses_1"), Directory("/work"))
USAGE = Usage(10, 20, 3, 4, 5, 0.25)
PERMISSION = Permission(
    id=RequestId("per_1"),
    session=SessionId("ses_1"),
    permission="bash",
    patterns=("rm -r build",),
    always=("rm *",),
    details={"command": "rm -r build && make"},
)
QUESTION = Question(
    id=RequestId("que_1"),
    session=SessionId("ses_2"),
    inquiries=(Inquiry("Which colour?", "Colour", (Option("red", "like blood"), Option("blue")), multiple=True),),
)

STARTED = TurnStarted(SESSION, MessageId("msg_prompt"))
COMPLETED = StatusChanged(TaskState.COMPLETED, usage=USAGE)
FAILED = StatusChanged(
    TaskState.FAILED, (TextPart("no more tokens"),), USAGE, Failure("APIError", "no more tokens", 429)
)
RETRYING = StatusChanged(TaskState.WORKING, (TextPart("tries again"),), retry=2)


def told(artifact: str, *parts: Part, kind: BlockKind = BlockKind.TEXT, last: bool = False, name: str = "") -> Update:
    """Tell an artifact."""
    return ArtifactTold(ArtifactId(artifact), kind, parts, MessageId("msg_1"), None, name, last)


def more(artifact: str, text: str, *, last: bool = False) -> Update:
    """Tell more of it."""
    return TextAppended(ArtifactId(artifact), text, last)


def answered(request: str, resolution: str = "once", shown: Interrupt | None = None) -> Update:
    """Tell that an interrupt is gone."""
    return InterruptResolved(RequestId(request), resolution, Principal("bearer:somebody"), shown)


TURN = (
    STARTED,
    told("prt_1", TextPart("Let me "), kind=BlockKind.REASONING),
    more("prt_1", "think"),
    more("prt_1", "", last=True),
    ArtifactTold(ArtifactId("prt_2"), BlockKind.TEXT, (), lane=SessionId("ses_child")),
    more("prt_2", "Hel"),
    more("prt_2", "lo", last=True),
    told("prt_3", DataPart({"tool": "bash", "status": "running"}), kind=BlockKind.TOOL, name="bash"),
    told("prt_3", DataPart({"tool": "bash", "exit": 0, "deep": [1.5, None, True]}), kind=BlockKind.TOOL, last=True),
    told(
        "prt_4",
        RawPart(b"\0\1", "image/png", "a.png"),
        UrlPart("https://x.example/a", "text/html"),
        DataPart([1], "application/json", metadata={"of": "x"}),
        TextPart("with", {"a": 1}),
        kind=BlockKind.CONTENT,
    ),
    told("prt_2", TextPart("Hello again")),
    more("prt_2", "!"),
    RETRYING,
)
"""A turn under way, with every kind of output."""

JOURNALS: dict[str, tuple[Update, ...]] = {
    "output": TURN,
    "completed": (*TURN, COMPLETED),
    "completed, with words": (*TURN, StatusChanged(TaskState.COMPLETED, (TextPart("done"),))),
    "failed": (*TURN, FAILED),
    "canceled": (STARTED, CancelRequested(Principal("bearer:somebody")), StatusChanged(TaskState.CANCELED)),
    "rejected": (StatusChanged(TaskState.REJECTED, (TextPart("not my business"),)),),
    "credentials": (STARTED, StatusChanged(TaskState.AUTH_REQUIRED, (TextPart("log in"),))),
    "permission": (STARTED, InterruptRaised(PERMISSION)),
    "permission given": (STARTED, InterruptRaised(PERMISSION), answered("per_1")),
    "question": (STARTED, InterruptRaised(QUESTION)),
    "question of two": (STARTED, InterruptRaised(QUESTION), InterruptRaised(PERMISSION, QUESTION)),
    "question left": (
        STARTED,
        InterruptRaised(QUESTION),
        InterruptRaised(PERMISSION, QUESTION),
        answered("per_1", shown=QUESTION),
    ),
    "input by hand": (
        STARTED,
        StatusChanged(TaskState.INPUT_REQUIRED, (TextPart("which?"),)),
        MessageReceived(said("that one", "message-2")),
        STARTED,
    ),
}
