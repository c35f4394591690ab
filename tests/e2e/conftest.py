"""The model and the OpenCode which the tests of this directory run against."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import RUNNING, NotInstalledError, RealOpenCode, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "e2e: needs the real OpenCode, which npm fetches")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of OpenCode's log with a failure."""
    report = yield
    if report.failed:
        report.sections += [(f"OpenCode on port {opencode.port}", opencode.log) for opencode in RUNNING]

    return report


@pytest.fixture(scope="session")
def opencode_binary() -> Path:
    """The pinned OpenCode. Where it cannot be had the test is skipped, but not where CI counts on it."""
    try:
        return installed()
    except NotInstalledError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))

        pytest.skip(str(error))


@pytest.fixture(scope="session")
def model() -> Iterator[ScriptedModel]:
    """The scripted model, one for all tests: they tell their calls apart by the session."""
    with ScriptedModel() as model:
        yield model


@pytest.fixture(scope="session")
def opencode(opencode_binary: Path, model: ScriptedModel) -> Iterator[RealOpenCode]:
    """A running OpenCode, one for all tests: those which kill it or configure it start their own."""
    with RealOpenCode(opencode_binary, model.url) as opencode:
        yield opencode


@pytest.fixture
def start_opencode(opencode_binary: Path, model: ScriptedModel) -> Iterator[Callable[..., RealOpenCode]]:
    """Start an OpenCode for this test alone, with the options of RealOpenCode."""
    with ExitStack() as stack:

        def start(**options: Any) -> RealOpenCode:
            return stack.enter_context(RealOpenCode(opencode_binary, model.url, **options))

        yield start
