"""
Push notifications: where a client wants to be told of a task, and how far that has come.

The journal has the updates, so an outbox is no more than two places in it: up to where they are delivered, and up to
where the delivery under way goes. Whoever takes it up after a crash sends that one again, in the very same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum

from attrs import define, evolve, field, frozen

from .errors import InvalidRequest
from .ids import PushConfigId, Seq, TaskId
from .updates import Entry, TextAppended

_TEXT_MOST = 64 * 1024
"""Characters of text that are merged into one delivery."""
_URL_MOST = 2048
_VALUE_MOST = 4096
_SENDABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110: the name of an authentication scheme is a token."""


class Words(Enum):
    """In which words a receiver is told: of each update, or of the task whenever its status has changed."""

    V1_0 = "1.0"
    """Updates, as a stream has them (A2A 1.0, 4.3.3)."""
    V0_3 = "0.3"
    """The task as it stands (A2A 0.3, 9.5): its receivers know nothing smaller."""


@frozen
class PushConfig:
    """Where updates of a task are sent, and what proves there that it is us (A2A 1.0, 4.3.1)."""

    id: PushConfigId
    task_id: TaskId
    url: str
    token: str = field(default="", repr=False)
    scheme: str = ""
    credentials: str = field(default="", repr=False)
    words: Words = Words.V1_0
    """Those of the protocol version it was created over."""

    def check(self) -> None:
        """
        Refuse what no header can carry: a line break in one would begin another.

        Raises:
            InvalidRequest: The error names the field.

        """
        if not self.url:
            raise InvalidRequest("a push notification configuration needs a url", "url")
        if len(self.url) > _URL_MOST or not _fits(self.url) or " " in self.url:
            raise InvalidRequest(f"a url is printable ASCII without spaces, at most {_URL_MOST} characters", "url")
        if self.token and not _fits(self.token):
            raise InvalidRequest("a token is printable ASCII on one line", "token")
        if self.scheme and not _SCHEME.fullmatch(self.scheme):
            raise InvalidRequest("a scheme is one word, such as Bearer", "authentication.scheme")
        if self.credentials and not self.scheme:
            raise InvalidRequest("credentials need a scheme", "authentication.scheme")
        if self.credentials and not _fits(self.credentials):
            raise InvalidRequest("credentials are printable ASCII on one line", "authentication.credentials")


def _fits(text: str) -> bool:
    return len(text) <= _VALUE_MOST and _SENDABLE.fullmatch(text) is not None


@frozen
class Outbox:
    """
    What one configuration has been told: all up to `seq`.

    `upto` is past it while a delivery is under way, which has failed so many times. `stopped` says why nothing more is
    sent; what is behind `seq` is then the dead letter.
    """

    config: PushConfig
    seq: Seq
    upto: Seq
    created_at: float = 0.0
    stopped: str = ""
    failures: int = 0

    @classmethod
    def begun(cls, config: PushConfig, seq: Seq, at: float) -> Outbox:
        """Begin one that is told what comes after an update."""
        return cls(config, seq, seq, at)

    def sending(self, upto: Seq) -> Outbox:
        """Be about to tell all up to an update."""
        return evolve(self, upto=upto)

    @property
    def sent(self) -> Outbox:
        """Have told it."""
        return evolve(self, seq=self.upto, failures=0)

    @property
    def failed(self) -> Outbox:
        """Have tried in vain."""
        return evolve(self, failures=self.failures + 1)

    def again(self, config: PushConfig) -> Outbox:
        """Go on with a configuration that takes this one's place, also if this one had stopped."""
        return evolve(self, config=config, stopped="", failures=0)

    def stop(self, reason: str) -> Outbox:
        """Tell nothing more."""
        return evolve(self, stopped=reason)


@define
class Parcel:
    """What goes into one delivery: an entry, which may stand for several pieces of one text."""

    entry: Entry

    @property
    def upto(self) -> Seq:
        """The last update in it."""
        return self.entry.seq


def parcels(entries: Sequence[Entry], upto: Seq) -> Iterator[Parcel]:
    """
    Make deliveries of entries: pieces of the same text which wait together become one piece.

    The first delivery ends at `upto` if that is among the entries: it was begun before, and must be the same again.
    """
    texts: list[Entry] = []
    size = 0
    for entry in entries:
        update = entry.update
        if texts and not (type(update) is TextAppended and _goes_on(texts[-1], entry) and size < _TEXT_MOST):
            yield Parcel(_merged(texts))
            texts, size = [], 0
        if type(update) is TextAppended:
            texts.append(entry)
            size += len(update.text)
            if entry.seq == upto:
                yield Parcel(_merged(texts))
                texts, size = [], 0
        else:
            yield Parcel(entry)
    if texts:
        yield Parcel(_merged(texts))


def _goes_on(last: Entry, entry: Entry) -> bool:
    before, after = last.update, entry.update
    return (
        isinstance(before, TextAppended)
        and isinstance(after, TextAppended)
        and before.artifact == after.artifact
        and not before.last
    )


def _merged(entries: Sequence[Entry]) -> Entry:
    if len(entries) == 1:
        return entries[0]
    texts = [entry.update for entry in entries if isinstance(entry.update, TextAppended)]
    last = entries[-1]
    return Entry(last.seq, last.at, TextAppended(texts[-1].artifact, "".join(t.text for t in texts), texts[-1].last))
