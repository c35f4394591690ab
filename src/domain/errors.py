"""
Every refusal, one tree.

    Refusal                      we say no, and why
    ├── TaskNotFound             unknown, or somebody else's: indistinguishable
    ├── SessionNotFound          unknown, or somebody else's: indistinguishable
    ├── TaskNotCancelable        it has ended
    ├── UnsupportedOperation     the task's state does not allow it
    │   ├── TaskIsTerminal       it has ended
    │   ├── TaskIsBusy           it works on another message
    │   └── MethodNotSupported   the runtime has nothing to do it with
    ├── InvalidRequest           the caller broke the contract
    │   ├── ContextMismatch      task and context do not belong together
    │   ├── AnswerDoesNotFit     no answer for the interrupt
    │   │   └── InterruptTypeMismatch  an answer of the other kind
    │   └── AmbiguousAnswer      the text does not say clearly what is meant
    ├── ContentTypeNotSupported  a part the agent cannot take, or nothing the client would accept
    ├── AlreadyAnswered          another answer came first
    ├── SessionBusy              the session works on something else
    ├── MethodDisabled           the operator has not switched this on
    ├── Forbidden                the caller may not do this, or not there
    │   └── CapabilityMissing    it is switched on, but not for this principal
    ├── RateLimited              too much of it, or too often; later again
    ├── InterruptNotFound        no such interrupt of this principal's
    ├── InterruptExpired         it is over, and was not answered by a person
    ├── IllegalTransition        the state machine does not know this step: a fault of ours
    ├── Unavailable              not now
    │   ├── Draining             the service is about to stop
    │   ├── JournalUnavailable   the store does not take writes
    │   │   └── JournalDamaged   it has lost a part of a task, or holds what cannot be read
    │   ├── IssuerUnreachable    whether a token is good cannot be found out
    │   └── AgentUnreachable     the runtime does not answer
    └── AgentFault               the runtime broke its contract: a fault of theirs
        └── AgentRefused         the runtime refused what we asked
            └── SessionLost      the runtime has the session no more
"""

from __future__ import annotations


class Refusal(Exception):
    """We say no; the message says why and what the caller can do."""


class TaskNotFound(Refusal):
    """No such task for this principal."""


class SessionNotFound(Refusal):
    """No such session for this principal."""


class TaskNotCancelable(Refusal):
    """The task has ended."""


class UnsupportedOperation(Refusal):
    """The task's state does not allow the operation."""


class TaskIsTerminal(UnsupportedOperation):
    """The task has ended, it takes no messages and has no updates to come."""


class TaskIsBusy(UnsupportedOperation):
    """The task works on another message."""


class MethodNotSupported(UnsupportedOperation):
    """The runtime has nothing to do it with."""


class InvalidRequest(Refusal):
    """The caller broke the contract; `field` names where, dotted, if there is one place."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ContextMismatch(InvalidRequest):
    """The task does not belong to the context named beside it."""


class AnswerDoesNotFit(InvalidRequest):
    """The answer does not fit the interrupt."""


class InterruptTypeMismatch(AnswerDoesNotFit):
    """The answer is for the other kind of interrupt."""


class AmbiguousAnswer(InvalidRequest):
    """The text does not say clearly what is meant."""


class ContentTypeNotSupported(Refusal):
    """A part of a kind or media type that the agent cannot take."""


class AlreadyAnswered(Refusal):
    """The interrupt has another answer."""


class InterruptNotFound(Refusal):
    """No such interrupt for this principal."""


class InterruptExpired(Refusal):
    """The interrupt no longer waits for an answer, and no person gave one."""


class SessionBusy(Refusal):
    """The session works on something else."""


class MethodDisabled(Refusal):
    """The operator has not switched this on."""


class Forbidden(Refusal):
    """The caller is known, and may not do this, or not there, or not with that model."""


class CapabilityMissing(Forbidden):
    """Something dangerous is switched on, but this principal may not use it."""


class RateLimited(Refusal):
    """Too much, or too often; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class IllegalTransition(Refusal):
    """The state machine does not know this step."""


class Unavailable(Refusal):
    """Not now; the same call may succeed later."""


class Draining(Unavailable):
    """The service is about to stop and takes no new work."""


class JournalUnavailable(Unavailable):
    """The store does not take writes."""


class JournalDamaged(JournalUnavailable):
    """The store has lost a part of a task, or holds what this release cannot read: to try again does not help."""


class IssuerUnreachable(Unavailable):
    """Whether a token is good cannot be found out: its issuer's keys cannot be had."""


class AgentUnreachable(Unavailable):
    """The runtime does not answer."""


class AgentFault(Refusal):
    """The runtime broke its contract."""


class AgentRefused(AgentFault):
    """The runtime refused what we asked; `status` is its HTTP status, 0 if there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class SessionLost(AgentRefused):
    """The runtime has the session no more."""
