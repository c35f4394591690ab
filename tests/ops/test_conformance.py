"""Runs of the official conformance suite: what they come to, and what is known of the suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from opencode_a2a_server.adapters.outbound.scripted import CONFORMANCE
from opencode_a2a_server.adapters.outbound.scripted.files import load_scripts
from opencode_a2a_server.adapters.outbound.scripted.scripts import Scripts
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from ops.conformance.suites import EDITIONS, edition_of
from ops.conformance.verdict import Verdict, Wrong, known_wrong

WRONG = Wrong("1.0", "X-1", ("a.test_x[X-1-*]",), "the suite errs")

REPORT = """<testsuites><testsuite>
  <testcase classname="tests.a" name="test_good"/>
  <testcase classname="tests.a" name="test_x[X-1-jsonrpc]"><failure message="no"/></testcase>
  <testcase classname="tests.a.TestB" name="test_bad"><error message="no"/></testcase>
  <testcase classname="tests.a" name="test_left_out"><skipped/></testcase>
</testsuite></testsuites>"""


def test_a_report_says_what_passed_failed_and_was_left_out(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)

    verdict = Verdict.read([report])

    assert verdict == Verdict(
        frozenset({"a.test_good"}),
        frozenset({"a.test_x[X-1-jsonrpc]", "a.TestB.test_bad"}),
        frozenset({"a.test_left_out"}),
    )
    assert str(verdict) == "1 passed, 2 failed, 1 skipped"


def test_what_fails_and_is_not_known_is_a_fault() -> None:
    verdict = Verdict(failed=frozenset({"a.test_x[X-1-grpc]", "a.test_x[X-2-grpc]"}))

    assert verdict.faults([WRONG]) == ["failed: a.test_x[X-2-grpc]"]


def test_what_is_known_and_passes_is_a_fault_too() -> None:
    verdict = Verdict(passed=frozenset({"a.test_x[X-1-grpc]", "a.test_y"}))

    assert verdict.faults([WRONG]) == ["passed, though X-1 is listed as wrong: a.test_x[X-1-grpc]"]


def test_what_is_known_and_was_left_out_is_none() -> None:
    assert Verdict(skipped=frozenset({"a.test_x[X-1-grpc]"})).faults([WRONG]) == []


def test_every_known_wrong_check_says_why_and_where() -> None:
    editions = {edition.version: edition for edition in EDITIONS}

    for wrong in known_wrong():
        assert wrong.reason.endswith(".")
        assert wrong.tests
        assert set(wrong.bindings) <= set(editions[wrong.edition].bindings)


def test_what_the_sdk_shows_is_run_as_the_suite_names_it() -> None:
    wrong = Wrong("0.3", "X-2", ("optional.a.test_b.TestC.test_d", "mandatory.test_e.test_f"), "the suite errs")

    assert wrong.files() == ["tests/optional/a/test_b.py::TestC::test_d", "tests/mandatory/test_e.py::test_f"]
    assert EDITIONS[1].one("http://127.0.0.1:1", "HTTP+JSON", wrong.files())[-2:] == ("--transports", "rest")


def test_every_wrong_check_of_0_3_fails_against_the_sdk_too() -> None:
    assert [wrong.reference for wrong in known_wrong() if wrong.edition == "0.3"] == [True] * 4


@pytest.mark.anyio
async def test_what_the_suite_of_0_3_wants_for_a_url_of_grpc_cannot_be_called() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    said = {}
    for target in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
        async with grpc.aio.insecure_channel(target) as channel:
            call: Any = channel.unary_unary("/a2a.v1.A2AService/GetAgentCard")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"", timeout=10)
        said[target.partition(":")[0]] = refused.value.code()
    await server.stop(None)

    assert said == {"127.0.0.1": grpc.StatusCode.UNIMPLEMENTED, "http": grpc.StatusCode.UNAVAILABLE}


@pytest.mark.parametrize("edition", EDITIONS, ids=lambda edition: edition.version)
def test_an_edition_is_told_from_its_checkout_and_has_a_script(tmp_path: Path, edition: object) -> None:
    (found,) = [one for one in EDITIONS if one is edition]
    (tmp_path / found.mark).mkdir(parents=True)

    assert edition_of(tmp_path) is found
    assert load_scripts(Path(found.settings["A2A_SCRIPT"])).rules


def test_anything_else_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"branch 1\.0-dev or 0\.3\.x"):
        edition_of(tmp_path)


def test_the_script_of_1_0_says_what_the_runtime_knows_by_itself() -> None:
    written = load_scripts(Path(EDITIONS[0].settings["A2A_SCRIPT"]))

    assert {rule.message_id: rule.script for rule in written.rules} == {
        rule.message_id: rule.script for rule in CONFORMANCE.rules
    }


def test_the_script_of_0_3_keeps_tasks_open() -> None:
    written = load_scripts(Path(EDITIONS[1].settings["A2A_SCRIPT"]))

    assert isinstance(written, Scripts)
    assert [type(step).__name__ for step in written(Message(MessageId("any"), Role.USER, (TextPart("hello"),)))] == [
        "AskInput"
    ]


@pytest.mark.parametrize("bindings", [["JSONRPC"], ["JSONRPC", "HTTP+JSON", "GRPC"]])
def test_each_binding_is_named_as_the_suite_names_it(bindings: list[str]) -> None:
    new, old = [list(edition.runs("http://127.0.0.1:1", bindings)) for edition in EDITIONS]

    assert [run.arguments[-1] for run in new] == [",".join(EDITIONS[0].bindings[binding] for binding in bindings)]
    assert {run.arguments[-1] for run in old if len(run.bindings) == 1} == {
        EDITIONS[1].bindings[binding] for binding in bindings
    }
