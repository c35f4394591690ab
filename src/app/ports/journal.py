"""The journals of all tasks: where updates are kept and read from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from opencode_a2a_server.app.ports.tasks import Page, Place, Wanted
from opencode_a2a_server.domain.ids import Principal, Seq, TaskId
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import Entry, TaskSubmitted, Update


class Reader(Protocol):
    """A cursor into one task's journal. Readers share nothing: a slow one costs nobody else anything."""

    @property
    def position(self) -> Seq:
        """The last entry that was given."""
        ...

    async def next(self, patience: float | None = None) -> Sequence[Entry]:
        """
        Give the entries after the position, in order and without holes, waiting for at least one.

        Only what is durable is given. Empty after `patience` seconds without any. A read gives a bounded number.

        Raises:
            JournalUnavailable: The store cannot be read.

        """
        ...


class TaskLog(Protocol):
    """One task's journal, open. Whoever holds it sees the same one."""

    @property
    def task(self) -> Task:
        """
        The fold of all that was appended, durable or not; see `durable`.

        Where another replica runs the task, of what it made durable, as far as it was told.
        """
        ...

    @property
    def mine(self) -> bool:
        """Whether this replica runs the task, and nobody else appends to it."""
        ...

    def append(self, updates: Sequence[Update]) -> Seq:
        """
        Add updates, all or none; returns the number of the last without waiting for it to be durable.

        They become durable together: no crash leaves a part of them.

        Raises:
            IllegalTransition: The task has ended or cannot take such a step; nothing was added.
            InvalidRequest: They hold what no encoding can carry, or are too much at once; nothing was added.
            JournalUnavailable: Too much waits for the store already, it is closed, or another replica runs the task;
                nothing was added.

        """
        ...

    async def durable(self, seq: Seq | None = None) -> None:
        """
        Wait until the entry, or all that was appended so far, survives a crash of the service and is seen here.

        Raises:
            JournalUnavailable: The store does not take it within its patience; it goes on trying.

        """
        ...

    async def reaches(self, after: Seq) -> bool:
        """
        Say whether all that follows an entry can still be read, one by one.

        Raises:
            JournalUnavailable: The store cannot be read.

        """
        ...

    def read(self, after: Seq) -> Reader:
        """Read from behind an entry; 0 reads from the start."""
        ...


class Journal(Protocol):
    """The journals of all tasks."""

    async def create(self, task_id: TaskId, submitted: TaskSubmitted) -> TaskLog:
        """
        Begin a task's journal; durable when `durable` says so.

        Raises:
            IllegalTransition: There is one.
            InvalidRequest, JournalUnavailable: As `append` raises them; there is none.

        """
        ...

    async def open(self, task_id: TaskId) -> TaskLog:
        """
        Open a task's journal.

        Raises:
            TaskNotFound: There is none.
            JournalUnavailable: The store cannot be read.

        """
        ...

    async def unfinished(self) -> Sequence[TaskId]:
        """
        Name the tasks which are not in a terminal state, oldest first.

        Raises:
            JournalUnavailable: The store cannot be read, or does not take what was appended before.

        """
        ...

    async def page(self, principal: Principal, wanted: Wanted, size: int, after: Place) -> Page:
        """
        List tasks of a principal behind a place, as many as `size`; what was appended before is seen.

        Who goes on where a page ended sees each task once, unless its status changed meanwhile.

        Raises:
            JournalUnavailable: The store cannot be read, or does not take what was appended before.

        """
        ...

    async def probe(self) -> str:
        """Say what is wrong with the store, in words; empty if it takes writes."""
        ...
