"""List tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator

from attrs import frozen

from opencode_a2a_server.app.ports.journal import Journal, TaskLog
from opencode_a2a_server.app.ports.tasks import BEGIN, Page, Place, Wanted
from opencode_a2a_server.domain.errors import JournalDamaged, TaskNotFound
from opencode_a2a_server.domain.ids import Principal


@frozen
class Listing:
    """A page, whose tasks are opened one after another: a hundred of them may be large."""

    page: Page
    _journal: Journal
    _wanted: Wanted

    async def logs(self) -> AsyncIterator[TaskLog]:
        """
        Give the tasks' journals; the caller encodes each task at once and tells it when it is durable.

        A task that changed since the page was made is given as it stands, or not if it is no longer wanted.
        """
        for task_id in self.page.task_ids:
            try:
                log = await self._journal.open(task_id)
            except (TaskNotFound, JournalDamaged):  # retention may have passed; and one must not hide the others
                continue
            if self._wanted.fits(log.task):
                yield log


@frozen
class ListTasks:
    """
    List a principal's tasks, the newest status first (A2A 1.0, 3.1.4).

    Raises:
        JournalUnavailable: The store cannot be read.

    """

    journal: Journal

    async def __call__(self, principal: Principal, wanted: Wanted, size: int, after: Place = BEGIN) -> Listing:
        """Give a page behind a place."""
        return Listing(await self.journal.page(principal, wanted, size, after), self.journal, wanted)
