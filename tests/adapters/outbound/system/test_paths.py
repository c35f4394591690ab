"""The disk of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.system.paths import HostPaths, UnseenPaths
from opencode_a2a_server.domain.workspace import Sight, There

pytestmark = pytest.mark.anyio


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "work" / "a").mkdir(parents=True)
    (tmp_path / "work" / "file").write_text("x")
    (tmp_path / "outside").mkdir()
    return tmp_path.resolve()


async def test_what_is_there_is_seen(root: Path) -> None:
    look = HostPaths().look

    assert await look(f"{root}/work/a/") == Sight(f"{root}/work/a", There.DIRECTORY)
    assert await look(f"{root}/work/file") == Sight(f"{root}/work/file", There.FILE)
    assert await look(f"{root}/work/none") == Sight(f"{root}/work/none", There.NOTHING)


async def test_links_and_ups_lead_where_they_lead(root: Path) -> None:
    (root / "work" / "link").symlink_to(root / "outside")
    look = HostPaths().look

    assert (await look(f"{root}/work/link")).path == f"{root}/outside"
    assert (await look(f"{root}/work/link/../work")).path == f"{root}/work"
    assert (await look(f"{root}/work/link/none/..")).path == f"{root}/outside"
    assert (await look(f"{root}/work/a/../../outside")).path == f"{root}/outside"


async def test_a_link_to_nothing_is_seen_where_it_leads(root: Path) -> None:
    (root / "work" / "link").symlink_to(root / "outside" / "none")

    assert await HostPaths().look(f"{root}/work/link") == Sight(f"{root}/outside/none", There.NOTHING)


async def test_a_ring_of_links_has_nothing_there(root: Path) -> None:
    (root / "work" / "one").symlink_to(root / "work" / "two")
    (root / "work" / "two").symlink_to(root / "work" / "one")

    assert (await HostPaths().look(f"{root}/work/one")).there is There.NOTHING


async def test_what_has_no_end_is_nothing_to_read(root: Path) -> None:
    os.mkfifo(root / "work" / "pipe")

    assert (await HostPaths().look(f"{root}/work/pipe")).there is There.NOTHING


@pytest.mark.parametrize("name", ["x" * 300, "file/below"])
async def test_what_cannot_be_looked_at_is_nothing(root: Path, name: str) -> None:
    assert (await HostPaths().look(f"{root}/work/{name}")).there is There.NOTHING


async def test_another_machines_disk_is_left_as_it_was_said() -> None:
    assert await UnseenPaths().look("/work/../x") == Sight("/work/../x", There.UNSEEN)
