"""Whether there is what a message names."""

from __future__ import annotations

import pytest

from opencode_a2a_server.domain.choice import Choices
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.session import ModelChoice, PromptOptions, Wishes

SONNET, OPUS = ModelChoice("anthropic", "claude-sonnet-4-5"), ModelChoice("anthropic", "claude-opus-4-1")
CHOICES = Choices({SONNET: ("high", "max"), OPUS: ()}, ("build", "plan"))


def test_what_there_is_may_be_named() -> None:
    CHOICES.check_model(SONNET)
    CHOICES.check_agent("plan")
    CHOICES.check_variant(SONNET, "max")
    CHOICES.check_variant(None, "max")


def test_a_model_that_there_is_not_is_refused_with_near_ones() -> None:
    with pytest.raises(InvalidRequest) as refused:
        CHOICES.check_model(ModelChoice("anthropic", "claude-sonet"))

    assert str(refused.value) == (
        "there is no model anthropic/claude-sonet; near ones are anthropic/claude-sonnet-4-5, anthropic/claude-opus-4-1"
    )
    assert refused.value.field == "metadata.shared.model"


def test_where_none_is_near_some_are_named() -> None:
    many = Choices({ModelChoice("p", f"m{number}"): () for number in range(7)}, ())

    with pytest.raises(InvalidRequest, match=r"there are p/m0, p/m1, p/m2, p/m3, p/m4, \.\.\.$"):
        many.check_model(ModelChoice("zzz", "qqqqqqqqqqqq"))
    with pytest.raises(InvalidRequest, match="there is none at all"):
        many.check_agent("build")


def test_an_agent_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no agent paln; near ones are plan") as refused:
        CHOICES.check_agent("paln")

    assert refused.value.field == "metadata.opencode.agent"


@pytest.mark.parametrize("model", [OPUS, None])
def test_a_variant_that_there_is_not_is_refused(model: ModelChoice | None) -> None:
    with pytest.raises(InvalidRequest, match="variant hihg") as refused:
        CHOICES.check_variant(model, "hihg")

    assert refused.value.field == "metadata.opencode.variant"


def test_of_a_model_that_is_not_known_any_variant_may_be_meant() -> None:
    CHOICES.check_variant(ModelChoice("mine", "own"), "hihg")


def test_a_message_that_wishes_nothing_gets_what_is_configured() -> None:
    options = PromptOptions(SONNET, "build", "Be kind.", "high")

    assert options.with_wishes(Wishes()) == options


def test_what_a_message_wishes_takes_the_place_of_what_is_configured() -> None:
    options = PromptOptions(SONNET, "build", "Be kind.", "high")

    wished = options.with_wishes(Wishes(model=OPUS, agent="plan"))

    assert wished == PromptOptions(OPUS, "plan", "Be kind.", None)  # the variant was another model's
    assert options.with_wishes(Wishes(variant="max")) == PromptOptions(SONNET, "build", "Be kind.", "max")
    assert options.with_wishes(Wishes(model=SONNET)).variant == "high"
