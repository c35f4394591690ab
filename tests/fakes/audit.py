"""What was audited, in memory."""

from __future__ import annotations

from attrs import define, field

from opencode_a2a_server.domain.audit import Record


@define(eq=False)
class FakeAudit:
    """The port `Audit`."""

    records: list[Record] = field(factory=list)

    async def record(self, record: Record) -> None:
        """See `Audit.record`."""
        self.records.append(record)
