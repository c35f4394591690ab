"""How far a turn may go, and what becomes of what it asks."""

from __future__ import annotations

from attrs import frozen

from opencode_a2a_server.app.usecases.accept_message import ToWorking
from opencode_a2a_server.domain.interrupt import Action
from opencode_a2a_server.domain.turn import Limits

from .values import no_allowance, not_negative, setting


@frozen
class TurnSettings:
    """How far one turn may go (0 means no bound), and what follows it."""

    steps: int = setting("A2A_TURN_MAX_STEPS", "Calls of the model in one turn, sub-agents included.", 500)
    seconds: float = setting(
        "A2A_TURN_MAX_SECONDS",
        "Length of a turn in seconds, without the time somebody's answer is awaited.",
        14_400.0,
        "OPENCODE_TIMEOUT_STREAM",
    )
    output_bytes: int = setting("A2A_TURN_MAX_OUTPUT_BYTES", "Characters of output in one turn.", 67_108_864)
    to_working: ToWorking = setting(
        "A2A_MESSAGES_TO_WORKING",
        "What becomes of a message to a task that works on another: reject, or queue for the task's next turn.",
        ToWorking.REJECT,
    )
    changes_bytes: int = setting(
        "A2A_CHANGES_MAX_BYTES",
        "Bytes of the patch that a turn which changed files ends with; 0 tells no changes.",
        262_144,
        check=not_negative,
    )
    reprompt: bool = setting(
        "A2A_REPROMPT_AFTER_RESTART",
        "Whether a prompt that OpenCode lost by its own restart is sent again, once, if no tool had been called; else the "
        "task fails.",
        default=False,
    )
    cost: float = setting("A2A_TURN_MAX_COST", "Cost of one task, in OpenCode's currency (US dollars).", 0.0)

    @property
    def limits(self) -> Limits:
        """The same as the domain has it."""
        return Limits(
            steps=self.steps or None,
            output_bytes=self.output_bytes or None,
            cost=self.cost or None,
            seconds=self.seconds or None,
        )


@frozen
class InterruptSettings:
    """How permissions and questions are answered when nobody does, and who may answer without being asked."""

    ttl: float = setting(
        "A2A_INTERRUPT_REQUEST_TTL_SECONDS",
        "How long a permission or a question waits for its answer; 0 waits for ever.",
        10_800.0,
        check=not_negative,
    )
    permission: Action = setting(
        "A2A_INTERRUPT_PERMISSION_DEFAULT",
        "What becomes of a permission then: `reject`, `allow-once`, or `ask`, which waits on.",
        Action.REJECT,
    )
    question: Action = setting(
        "A2A_INTERRUPT_QUESTION_DEFAULT",
        "What becomes of a question then: `reject`, or `ask`, which waits on.",
        Action.REJECT,
        check=no_allowance,
    )
    tombstone: float = setting(
        "A2A_INTERRUPT_REQUEST_TOMBSTONE_TTL_SECONDS",
        "How long after its end an interrupt is known by its request id alone: the same answer is the same result, "
        "another one is refused with the reason. Later there is no such interrupt.",
        600.0,
        check=not_negative,
    )
    policy: str | None = setting(
        "A2A_INTERRUPT_POLICY_FILE", "TOML file of rules that decide without asking anybody.", None
    )
    audit: str | None = setting(
        "A2A_AUDIT_FILE",
        "File that who did what is appended to, a JSON object a line, each with the hash of the one before; see "
        "`opencode-a2a-server audit verify`. Default: the log, by the logger `audit`.",
        None,
    )
