"""Settings of permissions and questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.audit import AuditUnusable
from opencode_a2a_server.app.container import assemble, check
from opencode_a2a_server.app.settings import SettingsError, load_settings
from opencode_a2a_server.domain.interrupt import Action

pytestmark = pytest.mark.anyio

SECRET = {"A2A_BEARER_TOKEN": "secret", "A2A_RUNTIME": "scripted", "A2A_TASK_STORE_BACKEND": "memory"}


def test_by_default_what_waits_is_rejected_after_three_hours() -> None:
    interrupts = load_settings({}).interrupts

    assert (interrupts.ttl, interrupts.tombstone) == (10_800.0, 600.0)
    assert (interrupts.permission, interrupts.question) == (Action.REJECT, Action.REJECT)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("A2A_INTERRUPT_REQUEST_TTL_SECONDS", "-1", "must not be negative"),
        ("A2A_INTERRUPT_REQUEST_TOMBSTONE_TTL_SECONDS", "-1", "must not be negative"),
        ("A2A_INTERRUPT_PERMISSION_DEFAULT", "always", "is none of ask, allow-once, reject"),
        ("A2A_INTERRUPT_QUESTION_DEFAULT", "allow-once", "a question cannot be allowed"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings({name: value})


async def test_rules_and_terms_reach_the_turns(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[[rule]]\naction = "reject"\n')
    settings = load_settings(
        SECRET
        | {
            "A2A_INTERRUPT_POLICY_FILE": str(tmp_path / "policy.toml"),
            "A2A_INTERRUPT_REQUEST_TTL_SECONDS": "60",
            "A2A_INTERRUPT_QUESTION_DEFAULT": "ask",
        }
    )

    async with assemble(settings) as service:
        terms = service.turns().terms

    assert [rule.action for rule in terms.rules] == [Action.REJECT]
    assert (terms.seconds, terms.permission, terms.question) == (60.0, Action.REJECT, Action.ASK)


async def test_a_policy_that_is_wrong_stops_the_start_and_the_check(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[[rule]]\n")
    settings = load_settings(SECRET | {"A2A_INTERRUPT_POLICY_FILE": str(tmp_path / "policy.toml")})

    with pytest.raises(SettingsError, match=r"A2A_INTERRUPT_POLICY_FILE: .*rule 1 \(line 1\): action is missing"):
        async with assemble(settings):
            pass
    with pytest.raises(SettingsError, match="action is missing"):
        await check(settings)


async def test_an_audit_that_cannot_be_kept_stops_the_start(tmp_path: Path) -> None:
    settings = load_settings(SECRET | {"A2A_AUDIT_FILE": str(tmp_path / "missing" / "audit.jsonl")})

    with pytest.raises(AuditUnusable):
        async with assemble(settings):
            pass
