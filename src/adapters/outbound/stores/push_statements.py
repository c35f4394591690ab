"""What is asked of SQLite about push notification configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import sqlite

from opencode_a2a_server.domain.ids import PushConfigId, Seq, TaskId
from opencode_a2a_server.domain.push import Outbox, PushConfig, Words

from .statements import Statement
from .tables import PUSH_CONFIGS

_C = PUSH_CONFIGS.c
_COLUMNS = [column.name for column in PUSH_CONFIGS.columns]
_THIS = (_C.task_id == bindparam("of"), _C.id == bindparam("which"))

_CONFIG = sqlite.insert(PUSH_CONFIGS)
SAVE = Statement.of(
    _CONFIG.on_conflict_do_update(
        index_elements=["task_id", "id"],
        set_={name: _CONFIG.excluded[name] for name in _COLUMNS if name not in ("task_id", "id")},
    ),
    *_COLUMNS,
)
MARK = Statement.of(
    update(PUSH_CONFIGS)
    .where(*_THIS)
    .values(
        seq=bindparam("told"),
        upto=bindparam("telling"),
        stopped=bindparam("because"),
        failures=bindparam("in_vain"),
    )
)
DELETE = Statement.of(delete(PUSH_CONFIGS).where(*_THIS))
_ALL = select(PUSH_CONFIGS).order_by(_C.created_at, _C.task_id, _C.id)
OF_TASK = Statement.of(_ALL.where(_C.task_id == bindparam("of")))
LIVE = Statement.of(_ALL.where(_C.stopped == bindparam("nothing")))
STOPPED = Statement.of(_ALL.where(_C.stopped != bindparam("nothing")))


def save_row(outbox: Outbox) -> dict[str, Any]:
    """Give a configuration's row."""
    config = outbox.config
    return {
        "task_id": config.task_id,
        "id": config.id,
        "url": config.url,
        "token": config.token,
        "scheme": config.scheme,
        "credentials": config.credentials,
        "seq": outbox.seq,
        "upto": outbox.upto,
        "stopped": outbox.stopped,
        "created_at": outbox.created_at,
        "words": config.words.value,
        "failures": outbox.failures,
    }


def mark_row(outbox: Outbox) -> dict[str, Any]:
    """Give what changes in it."""
    return {
        **this(outbox.config.task_id, outbox.config.id),
        "told": outbox.seq,
        "telling": outbox.upto,
        "because": outbox.stopped,
        "in_vain": outbox.failures,
    }


def this(task_id: TaskId, config_id: PushConfigId) -> Mapping[str, Any]:
    """Name one."""
    return {"of": task_id, "which": config_id}


def outbox_of(row: Sequence[Any]) -> Outbox:
    """Read a row."""
    task_id, config_id, url, token, scheme, credentials, seq, upto, stopped, created_at, words, failures = row
    config = PushConfig(PushConfigId(config_id), TaskId(task_id), url, token, scheme, credentials, Words(words))
    return Outbox(config, Seq(seq), Seq(upto), created_at, stopped, failures)
