"""Rules in TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.policy import PolicyError, parse_policy, read_policy
from opencode_a2a_server.domain.interrupt import Action, Kind
from opencode_a2a_server.domain.terms import Rule

GOOD = """
[[rule]]
principal = "ci"
permission = "bash"
pattern = "git status*"
action = "allow-once"
reason = "Looking is free."

[[rule]]
kind = "question"
action = "reject"

[[rule]]
action = "ask"
"""


def test_rules_are_read_in_their_order() -> None:
    assert parse_policy(GOOD) == (
        Rule(Action.ALLOW_ONCE, "ci", Kind.PERMISSION, "bash", "git status*", "Looking is free."),
        Rule(Action.REJECT, kind=Kind.QUESTION),
        Rule(Action.ASK),
    )


def test_no_rules_are_rules() -> None:
    assert parse_policy("") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]]\n", "p: rule 1 (line 1): action is missing; it must be one of ask, allow-once, reject"),
        (
            '[[rule]]\naction = "always"',
            "p: rule 1 (line 1): action must be one of ask, allow-once, reject, not 'always'",
        ),
        ('[[rule]]\naction = "ask"\nkind = "any"', "p: rule 1 (line 1): kind must be one of permission, question"),
        ('[[rule]]\naction = "ask"\npatern = "x"', "p: rule 1 (line 1): there is no 'patern'; did you mean 'pattern'?"),
        ('[[rule]]\naction = "ask"\npattern = ["x"]', "p: rule 1 (line 1): pattern must be a text, not ['x']"),
        ('[[rule]]\naction = "ask"\npattern = ""', "p: rule 1 (line 1): pattern is empty; leave it out to mean any"),
        ("[[rule]]\naction = 1", "p: rule 1 (line 1): action must be a text, not 1"),
        (
            '[[rule]]\nkind = "question"\naction = "allow-once"',
            "p: rule 1 (line 1): a question cannot be allowed; action must be ask or reject",
        ),
        (
            '[[rule]]\nkind = "question"\naction = "ask"\npermission = "bash"',
            "p: rule 1 (line 1): a question has no permission; use pattern",
        ),
        ('[[rules]]\naction = "ask"', "p: there is no 'rules' here, only [[rule]]"),
        ('[rule]\naction = "ask"', "p: rules are written as [[rule]] tables"),
        ('rule = [{action = "asc"}]', "p: rule 1: action must be one of"),
        ("[[rule]]\naction = ask", "p: Invalid value (at line 2"),
        ("rule = 1", "p: rules are written as [[rule]] tables"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse_policy(text, "p")

    assert problem in str(error.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as error:
        parse_policy('[[rule]]\naction = "asc"\n\n# a comment\n\n[[rule]]\npattern = 1\n')

    assert [problem.split(":")[1] for problem in error.value.problems] == [
        " rule 1 (line 1)",
        " rule 2 (line 6)",
        " rule 2 (line 6)",
    ]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(GOOD, encoding="utf-8")

    assert len(read_policy(path)) == 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"missing\.toml cannot be read"):
        read_policy(tmp_path / "missing.toml")
