"""Which script plays, by the message that came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Self, TypeAlias

from attrs import field, frozen

from opencode_a2a_server.domain.message import Message

from .directives import directed
from .steps import (
    AskInput,
    Complete,
    Delay,
    GiveData,
    GiveFile,
    NeedAuth,
    Reject,
    Reply,
    Say,
    Script,
    Step,
)

Choose: TypeAlias = Callable[[Message], Script]
"""Gives the script for a message."""


def _checked(script: Script) -> Script:
    script = tuple(script)
    if len(script) > 1 and any(isinstance(step, Reply) for step in script):
        raise ValueError("Reply answers without a task: it must be the only step of its script")
    return script


@frozen
class Rule:
    """
    A script, and the messages it is for.

    It is for those whose id begins with `message_id`, or whose whole text fits `text`, in which `*` stands for
    anything and letter case does not matter.
    """

    script: Script = field(converter=_checked)
    message_id: str = ""
    text: str = ""

    def __attrs_post_init__(self) -> None:
        if bool(self.message_id) == bool(self.text):
            raise ValueError("a rule needs a message_id or a text, one of them")


@frozen
class Scripts:
    """
    A choice of scripts.

    Rules by message id come first, the longest one that fits before the others; then those by text, in order; then
    what `otherwise` gives, which as it stands follows directives in the text (see `directives`) or echoes it.
    """

    rules: tuple[Rule, ...] = ()
    otherwise: Choose = directed

    @classmethod
    def always(cls, *steps: Step) -> Self:
        """Play the same script whatever comes."""
        script = _checked(steps)
        return cls(otherwise=lambda _: script)

    @classmethod
    def by_text(cls, scripts: Mapping[str, Script]) -> Self:
        """Play the script whose key the message's text fits; without one follow directives, or echo."""
        return cls(tuple(Rule(script, text=text) for text, script in scripts.items()))

    def __call__(self, message: Message) -> Script:
        """Give the script for a message."""
        named = [rule for rule in self.rules if rule.message_id and message.message_id.startswith(rule.message_id)]
        if named:
            return max(named, key=lambda rule: len(rule.message_id)).script
        text = " ".join(message.text.lower().split())
        for rule in self.rules:
            if rule.text and fnmatchcase(text, " ".join(rule.text.lower().split())):
                return rule.script
        return self.otherwise(message)


_TEXT_FILE = GiveFile("output.txt", "text/plain", b"tck")

CONFORMANCE = Scripts(
    tuple(
        Rule(script, message_id=prefix)
        for prefix, script in (
            ("tck-complete-task", (Complete("Hello from TCK"),)),
            ("tck-artifact-text", (Say("Generated text content"),)),
            ("tck-artifact-file", (_TEXT_FILE,)),
            ("tck-artifact-file-url", (GiveFile("output.txt", "text/plain", url="https://example.com/output.txt"),)),
            ("tck-artifact-data", (GiveData({"key": "value", "count": 42}),)),
            ("tck-message-response", (Reply("Direct message response"),)),
            ("tck-input-required", (AskInput("What else should I know?"),)),
            ("tck-auth-required", (NeedAuth("Sign in elsewhere, then send another message."),)),
            ("tck-reject-task", (Reject("rejected"),)),
            ("tck-delayed-complete", (Delay(2), Complete("Hello from TCK"))),
            ("tck-stream-001", (Say("Stream hello from TCK"),)),
            ("tck-stream-002", (Complete(),)),
            ("tck-stream-003", (Say("Stream task lifecycle"),)),
            ("tck-stream-ordering-001", (Say("Ordered output"),)),
            ("tck-stream-artifact-text", (Say("Streamed text content"),)),
            ("tck-stream-artifact-file", (_TEXT_FILE,)),
            ("tck-stream-artifact-chunked", (Say("chunk-1 chunk-2"),)),
            ("test-resubscribe-message-id", (Delay(4), Complete())),
        )
    )
)
"""What the official conformance suite (a2aproject/a2a-tck, `scenarios/`) wants done for its message ids."""
