"""What somebody may do."""

from __future__ import annotations

import pytest

from opencode_a2a_server.domain.access import Grant, Reach
from opencode_a2a_server.domain.session import ModelChoice

OPUS = ModelChoice("anthropic", "opus")


@pytest.mark.parametrize(
    ("scopes", "operation", "reads", "allowed"),
    [
        (("*",), "CancelTask", False, True),
        (("read",), "GetTask", True, True),
        (("read",), "SendMessage", False, False),
        (("write",), "SendMessage", False, True),
        (("write",), "GetTask", True, False),
        (("opencode.sessions.*",), "opencode.sessions.delete", False, True),
        (("opencode.sessions.*",), "opencode.files.read", True, False),
        (("GetTask", "Send*"), "SendStreamingMessage", False, True),
        ((), "GetTask", True, False),
    ],
)
def test_a_scope_is_a_kind_or_a_pattern_of_operations(
    scopes: tuple[str, ...], operation: str, *, reads: bool, allowed: bool
) -> None:
    assert Grant(scopes).allows(operation, reads=reads) is allowed


@pytest.mark.parametrize(
    ("patterns", "path", "held"),
    [
        ((), "anything", True),
        (("a",), "a", True),
        (("a",), "a/b/c", True),
        (("a",), "ab", False),
        (("a",), ".", False),
        (("a/*",), "a", False),
        (("a/*",), "a/b/c", True),
        (("a/**",), "a", True),
        (("*/web",), "shop/web/src", True),
        (("*/web",), "shop/api", False),
        ((".",), "whatever/else", True),
        (("a", "b"), "b", True),
    ],
)
def test_a_directory_that_fits_a_pattern_has_all_below_it_fit(
    patterns: tuple[str, ...], path: str, *, held: bool
) -> None:
    assert Reach(patterns).holds(path) is held


def test_where_only_some_models_may_be_used_the_runtimes_own_default_is_none_of_them() -> None:
    reach = Reach(models=("anthropic/*",))

    assert reach.fits(OPUS)
    assert not reach.fits(ModelChoice("openai", "gpt"))
    assert not reach.fits(None)
    assert Reach().fits(None)
