"""Instances under a real systemd: installed, used, broken, upgraded, rolled back, taken over and uninstalled."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field

from tests.deployment.machine import ROOT, Machine, built, check_host, opencode, wheels
from tests.deployment.variants import SPOILED, variant
from tests.docs.test_documents import blocks
from tests.e2e.answer import MODEL
from tests.e2e.until import until

pytestmark = [pytest.mark.deploy, pytest.mark.e2e]

PORTS = {"one": 8100, "two": 8200}
MODEL_PORT = 9100
PROVIDER_KEY = "sk-provider-key-of-the-instance"
PUSH_SECRET = "push-secret-of-the-instance"  # noqa: S105


@define(eq=False)
class House:
    """The machine with the command installed on it, and what it can install."""

    machine: Machine
    released: dict[str, str]
    """Wheels as the machine sees them, by what they are."""

    tasks: dict[str, str] = field(factory=dict)

    def deploy(self, arguments: str, *, release: str = "") -> tuple[int, dict[str, Any]]:
        made = "--opencode /mnt/opencode/opencode --wheels /mnt/wheels"
        wanted = f"--release {self.released[release]} {made}" if release else ""
        done = self.machine.run(f"/opt/cli/bin/opencode-a2a-server deploy {arguments} {wanted}")
        assert len(done.stdout.splitlines()) == 1, done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    def secret(self, name: str, of: str) -> str:
        return self.machine.told(f"cat /etc/opencode-a2a-server/{of}/credentials/{name}")

    def call(self, name: str, path: str, body: object = None) -> Any:
        """Call the service of an instance as a client does."""
        token = self.secret("A2A_BEARER_TOKEN", name)
        url = f"http://127.0.0.1:{PORTS[name]}{path}"
        ask = f"curl --silent --show-error --fail-with-body -H 'authorization: Bearer {token}' -H 'a2a-version: 1.0'"
        if body is None:
            return json.loads(self.machine.told(f"{ask} '{url}'"))
        sent = f"{_quoted(json.dumps(body))} | {ask} -H 'content-type: application/json' -d @- '{url}'"
        return json.loads(self.machine.told(sent))

    def say(self, name: str, text: str) -> dict[str, Any]:
        message = {"messageId": f"m{len(self.tasks)}", "role": "ROLE_USER", "parts": [{"text": text}]}
        task: dict[str, Any] = self.call(name, "/message:send", {"message": message})["task"]
        self.tasks[task["id"]] = name
        return task

    def shell(self, name: str, command: str) -> str:
        """Have the agent run a command; gives what its shell printed."""
        asked = {"command": f'eval "$({_quoted(command)})"', "description": "look"}
        task = self.say(name, f"[[tool bash {json.dumps(asked)}]]")
        assert task["status"]["state"] == "TASK_STATE_COMPLETED", json.dumps(task)
        return "".join(
            part.get("text", "") for artifact in task["artifacts"] for part in artifact["parts"] if "text" in part
        )

    def shown(self, unit: str, name: str) -> str:
        return self.machine.told(f"systemctl show --property={name} --value {unit}")


def _quoted(text: str) -> str:
    """Give a command that prints the text, whatever is in it."""
    return f"echo {base64.b64encode(text.encode()).decode()} | base64 --decode"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    check_host()
    dist = tmp_path_factory.mktemp("dist")
    wheel = built(dist)
    made = {"this": wheel, "next": variant(wheel, "98.0"), "broken": variant(wheel, "99.0", appended=SPOILED)}
    shown = {"dist": dist, "wheels": wheels(wheel), "opencode": opencode().parent, "source": ROOT}
    with Machine(shown) as machine:
        machine.told(f"python3 -m venv /opt/cli && /opt/cli/bin/pip install --quiet --no-index "
                     f"--find-links /mnt/wheels /mnt/dist/{wheel.name}")  # fmt: skip
        machine.told(
            f"systemd-run --quiet --unit=model --setenv=PYTHONPATH=/mnt/source --setenv=PYTHONDONTWRITEBYTECODE=1 "
            f"/opt/cli/bin/python -m tests.e2e.model --port {MODEL_PORT}"
        )
        yield House(machine, {kind: f"/mnt/dist/{path.name}" for kind, path in made.items()})


@pytest.fixture(scope="module")
def two(house: House) -> House:
    """Two instances, which tests of this module use one after the other."""
    given = {
        "model": f"fake/{MODEL}",
        "small_model": f"fake/{MODEL}",
        "enabled_providers": ["fake"],
        "permission": "allow",
        "provider": {
            "fake": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": f"http://127.0.0.1:{MODEL_PORT}/v1", "apiKey": "{env:FAKE_API_KEY}"},
                "models": {MODEL: {"tool_call": True, "limit": {"context": 200_000, "output": 8192}}},
            }
        },
    }
    opencode_env = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(given).replace('"', '\\"'),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }
    lines = "".join(f'{name}="{value}"\n' for name, value in opencode_env.items())
    house.machine.told(
        f"install -m 600 /dev/null /root/secret.env; echo FAKE_API_KEY={PROVIDER_KEY} > /root/secret.env\n"
        f"cat > /root/opencode.env <<'END'\n{lines}END\n"
        f"echo A2A_PUSH_SECRET={PUSH_SECRET} > /root/a2a.env"
    )
    for name, port in PORTS.items():
        status, told = house.deploy(
            f"install {name} --port {port} --env /root/a2a.env --opencode-env /root/opencode.env "
            f"--opencode-secret-env /root/secret.env",
            release="this",
        )
        assert (status, told["category"]) == (0, "installed"), told
    return house


def test_two_instances_work_side_by_side(two: House) -> None:
    for name in PORTS:
        assert two.deploy(f"status {name}")[1]["category"] == "ready"
        task = two.say(name, f"[[write note.txt {name}]][[say done]]")
        assert task["status"]["state"] == "TASK_STATE_COMPLETED", json.dumps(task)
        assert two.machine.told(f"cat /var/lib/opencode-a2a-server/{name}/workspace/note.txt") == name


def test_installing_again_changes_nothing(two: House) -> None:
    before = two.shown("opencode-a2a-server@one", "MainPID")

    status, told = two.deploy("install one", release="this")

    assert (status, told["category"]) == (0, "unchanged")
    assert two.shown("opencode-a2a-server@one", "MainPID") == before


def test_each_half_has_a_user_of_its_own_and_modes_say_so(two: House) -> None:
    listed = two.machine.told(
        "cd /; stat -c '%U %a %n' etc/opencode-a2a-server/one etc/opencode-a2a-server/one/*.env "
        "etc/opencode-a2a-server/one/credentials/* var/lib/opencode-a2a-server/one/* "
        "opt/opencode-a2a-server/instances/one/opencode"
    )

    modes = {tuple(line.split()) for line in listed.splitlines()}
    assert ("root", "700", "etc/opencode-a2a-server/one") in modes
    assert {(user, mode) for user, mode, path in modes if path.endswith(".env") or "credentials/" in path} == {
        ("root", "600")
    }
    assert {(user, mode, path.rpartition("/")[2]) for user, mode, path in modes if path.startswith("var/")} == {
        ("a2a-one", "700", "service"),
        ("oc-one", "700", "opencode"),
        ("oc-one", "750", "workspace"),
    }
    assert [two.shown(f"{unit}@one", "User") for unit in ("opencode", "opencode-a2a-server")] == ["oc-one", "a2a-one"]


@pytest.mark.parametrize("unit", ["opencode-a2a-server@one.service", "opencode@one.service"])
def test_the_exposure_of_both_halves_is_at_most_2(two: House, unit: str) -> None:
    told = two.machine.told(f"systemd-analyze security --no-pager {unit}")

    level = re.search(r"exposure level for .*: ([0-9.]+)", told)
    assert level is not None
    assert float(level[1]) <= 2.0


def test_secrets_are_seen_by_nobody_else(two: House) -> None:
    secrets = [PROVIDER_KEY, PUSH_SECRET]
    secrets += [two.secret(name, of) for name in ("A2A_BEARER_TOKEN", "OPENCODE_AUTH_PASSWORD") for of in PORTS]
    for user in ("nobody", "oc-two", "a2a-two"):
        own = {two.secret("OPENCODE_AUTH_PASSWORD", "two"), two.secret("A2A_BEARER_TOKEN", "two")}
        seen = two.machine.run(
            "ps -eo args; systemctl show --all '*'; systemctl cat 'opencode*'; cat /proc/[0-9]*/environ;"
            "cat /proc/[0-9]*/cmdline; grep -rs . /etc/opencode-a2a-server /run/credentials; journalctl --no-pager",
            user=user,
        ).stdout
        assert "opencode-a2a-server@one.service" in seen
        others = [secret for secret in secrets if secret not in own and secret not in (PROVIDER_KEY, PUSH_SECRET)]
        assert not [secret for secret in others if secret in seen], user
    seen = two.machine.told(
        "ps -eo args; systemctl show --all '*'; systemctl cat 'opencode*'; journalctl --no-pager; cat /proc/[0-9]*/cmdline"
        " | tr '\\0' ' '"
    )
    assert not [secret for secret in secrets if secret in seen]


def test_the_agent_does_not_learn_what_its_opencode_knows(two: House) -> None:
    seen = two.shell("one", "env; tr '\\0' '\\n' < /proc/$PPID/environ; cat /proc/[0-9]*/environ | tr '\\0' '\\n'")

    assert "HOME=/var/lib/opencode-a2a-server/one/opencode" in seen
    assert not [name for name in ("OPENCODE_SERVER_PASSWORD=", "FAKE_API_KEY=", "A2A_BEARER_TOKEN") if name in seen]
    assert PROVIDER_KEY not in seen
    assert two.secret("OPENCODE_AUTH_PASSWORD", "one") not in seen


def test_the_agent_reaches_no_opencode_even_if_it_knew_the_password(two: House) -> None:
    password = two.secret("OPENCODE_AUTH_PASSWORD", "one")
    get = "curl --silent --output /dev/null --write-out '%{http_code} ' --max-time 2"
    opencodes = " ; ".join(
        f"{get} --user opencode:{password} http://{host}:4096/global/health"
        for host in ("127.77.0.1", "127.77.0.2", "127.0.0.1", "[::1]")
    )

    seen = two.shell("one", f"{opencodes} ; {get} http://127.0.0.1:8200/tasks; echo; echo end")

    assert "000 000 000 000 401" in seen
    assert two.machine.told(f"{get} --user opencode:{password} http://127.77.0.1:4096/global/health") == "200"


def test_the_agent_is_shut_in(two: House) -> None:
    seen = two.shell(
        "one",
        "for path in /etc/opencode-a2a-server/one /var/lib/opencode-a2a-server/one/service "
        "/var/lib/opencode-a2a-server/two/workspace /run/credentials; do ls $path >/dev/null 2>&1 && echo open $path; "
        "done; for path in /etc/x /usr/x /opt/opencode-a2a-server/x /var/lib/opencode-a2a-server/one/x; do "
        "touch $path 2>/dev/null && echo wrote $path; done; systemctl list-units >/dev/null 2>&1 && echo asked systemd; "
        "ps -eo user | sort -u | grep -v -e USER -e oc-one -e nobody; touch inside && echo wrote inside",
    )

    assert "wrote inside" in seen
    assert not [line for line in ("open /", "wrote /", "asked systemd", "a2a-one", "a2a-two", "root") if line in seen]


@pytest.mark.parametrize("unit", ["opencode-a2a-server@one", "opencode@one"])
def test_a_crash_of_either_half_is_recovered_from(two: House, unit: str) -> None:
    before = two.shown(unit, "MainPID")

    two.machine.told(f"kill -KILL {before}")

    until(lambda: two.shown(unit, "MainPID") not in (before, "0"), within=60, what="another main process")
    until(lambda: two.deploy("status one")[1]["category"] == "ready", within=120)
    assert two.say("one", "[[say back]]")["status"]["state"] == "TASK_STATE_COMPLETED"


def test_a_service_that_hangs_is_started_anew(two: House) -> None:
    unit = "opencode-a2a-server@two"
    two.machine.told(
        f"mkdir -p /etc/systemd/system/{unit}.service.d\n"
        f"printf '[Service]\\nWatchdogSec=3\\n' > /etc/systemd/system/{unit}.service.d/watchdog.conf\n"
        f"systemctl daemon-reload; systemctl restart {unit}"
    )
    main = two.shown(unit, "MainPID")

    two.machine.told(f"kill -STOP $(cat /proc/{main}/task/{main}/children)")

    until(lambda: two.shown(unit, "NRestarts") == "1", within=90, what="a restart by the watchdog")
    until(lambda: two.deploy("status two")[1]["category"] == "ready", within=120)


def test_an_upgrade_keeps_tasks_and_can_be_rolled_back(two: House) -> None:
    tasks = {task["id"] for task in two.call("one", "/tasks?pageSize=100")["tasks"]}

    preview = two.deploy("upgrade one --dry-run", release="next")
    upgraded = two.deploy("upgrade one", release="next")
    kept = {task["id"] for task in two.call("one", "/tasks?pageSize=100")["tasks"]}
    version = two.call("one", "/.well-known/agent-card.json")["version"]
    back = two.deploy("rollback one")

    assert (preview[1]["category"], upgraded[1]["category"], back[1]["category"]) == (
        "preview",
        "upgraded",
        "rolled_back",
    )
    assert (version, kept) == ("98.0", tasks)
    assert two.call("one", "/.well-known/agent-card.json")["version"] != "98.0"


def test_a_broken_upgrade_is_taken_back_with_the_store_it_spoiled(two: House) -> None:
    tasks = {task["id"] for task in two.call("one", "/tasks?pageSize=100")["tasks"]}
    release = two.deploy("status one")[1]["release"]

    status, told = two.deploy("upgrade one --patience 5", release="broken")

    assert (status, told["category"], told["release"]) == (3, "restored", release), told
    assert "this release is broken" in told["detail"]
    assert {task["id"] for task in two.call("one", "/tasks?pageSize=100")["tasks"]} == tasks
    said = two.say("one", "[[say still here]]")
    assert said["status"]["state"] == "TASK_STATE_COMPLETED", json.dumps(said["status"])


def test_an_install_that_fails_leaves_nothing_running(two: House) -> None:
    status, told = two.deploy("install three --port 8300 --patience 5", release="broken")

    assert (status, told["category"]) == (4, "broken")
    assert two.machine.run("systemctl is-active opencode-a2a-server@three opencode@three").stdout.split() == [
        "inactive",
        "inactive",
    ]
    assert two.deploy("status three")[0] == 1


def test_an_instance_of_0_2_is_taken_over(two: House) -> None:
    two.machine.told(
        """
        useradd --system --home-dir /data/old old; mkdir -p /data/old/config /data/old/workspace
        echo 'kept' > /data/old/workspace/file; chown -R old: /data/old; chmod 700 /data/old/config
        printf 'A2A_HOST=127.0.0.1\\nA2A_PORT=8400\\nA2A_STREAMING=true\\n' > /data/old/config/a2a.env
        echo 'A2A_BEARER_TOKEN=token-of-0.2' > /data/old/config/a2a.secret.env
        mkdir -p /etc/systemd/system/opencode-a2a-server@old.service.d
        printf '[Service]\\nTasksMax=7\\n' > /etc/systemd/system/opencode-a2a-server@old.service.d/override.conf
        """
    )

    status, told = two.deploy("install old --from-0.2 /data/old", release="this")

    assert (status, told["url"]) == (0, "http://127.0.0.1:8400"), told
    assert two.secret("A2A_BEARER_TOKEN", "old") == "token-of-0.2"
    assert two.shown("opencode-a2a-server@old", "TasksMax") == "512"
    assert two.deploy("uninstall old --purge --yes")[0] == 0
    assert two.machine.told(
        "cat /data/old/workspace/file; ls /etc/systemd/system/opencode-a2a-server@old.service.d"
    ) == ("kept\noverride.conf")


def test_an_uninstall_leaves_the_other_instance_alone(two: House) -> None:
    preview = two.deploy("uninstall one --purge")
    there = two.deploy("status one")[0]
    done = two.deploy("uninstall one --purge --yes")

    assert (preview[1]["category"], there, done[1]["category"]) == ("preview", 0, "uninstalled"), done
    left = two.machine.run(
        "ls -d /etc/opencode-a2a-server/one /var/lib/opencode-a2a-server/one /etc/systemd/system/*one* "
        "/etc/systemd/system/multi-user.target.wants/*one*; getent passwd oc-one a2a-one; pgrep -u oc-one"
    ).stdout
    assert left == ""
    assert two.deploy("status two")[1]["category"] == "ready"
    assert two.say("two", "[[say here]]")["status"]["state"] == "TASK_STATE_COMPLETED"


def test_the_commands_of_the_documents_work(two: House) -> None:
    install, token, look, upgrade, uninstall = blocks("how-to/deploy.md", "bash")
    smoke = "\n".join(blocks("how-to/smoke.md", "bash"))
    # What the documents get from the network the machine has at hand.
    two.machine.told(
        """
        cat > /usr/local/bin/opencode-a2a-server <<'END'
#!/bin/sh
case "$2" in
  install|upgrade) set -- "$@" --release "$RELEASE" --opencode /mnt/opencode/opencode --wheels /mnt/wheels ;;
esac
exec /opt/cli/bin/opencode-a2a-server "$@"
END
        chmod 755 /usr/local/bin/opencode-a2a-server
        """
    )
    begin = f"set -eo pipefail; mkdir -p /root/shown; cd /root/shown; export RELEASE={two.released['this']}\n"

    assert '"category": "installed"' in two.machine.told(begin + install)
    assert len(two.machine.told(begin + token)) > 40
    assert "exposure level" in two.machine.told(begin + look)
    two.machine.told(f"{begin} opencode-a2a-server deploy install alpha --opencode-env /root/opencode.env")
    assert two.machine.told(begin + smoke).splitlines()[-1].count('"ready"') == 1
    told = two.machine.told(f"{begin} RELEASE={two.released['next']}\n{upgrade}")
    assert [json.loads(line)["category"] for line in told.splitlines()] == ["preview", "upgraded", "rolled_back"]
    told = two.machine.told(begin + uninstall)
    assert [json.loads(line)["category"] for line in told.splitlines()] == ["preview", "uninstalled"]


def test_what_is_uninstalled_without_purge_can_be_installed_again(two: House) -> None:
    token = two.secret("A2A_BEARER_TOKEN", "two")
    tasks = {task["id"] for task in two.call("two", "/tasks?pageSize=100")["tasks"]}

    gone = two.deploy("uninstall two --yes")
    back = two.deploy("install two --port 8200", release="this")

    assert (gone[0], back[0]) == (0, 0)
    assert two.secret("A2A_BEARER_TOKEN", "two") == token
    assert {task["id"] for task in two.call("two", "/tasks?pageSize=100")["tasks"]} == tasks
