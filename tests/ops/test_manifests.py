"""The manifests and the image say what the service needs, and nothing that Kubernetes or the service does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it has no types
import pytest
import yaml

from opencode_a2a_server.app.cli.installing import VERSION
from opencode_a2a_server.app.settings import load_settings

OPS = Path(__file__).parents[2] / "ops"
MANIFESTS = sorted((OPS / "kubernetes").glob("*.yaml"))
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}")
    for path in MANIFESTS
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


@pytest.fixture
def pod() -> Mapping[str, Any]:
    (found,) = [
        document["spec"]["template"]["spec"]
        for path in MANIFESTS
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document["kind"] == "StatefulSet"
    ]
    spec: Mapping[str, Any] = found
    return spec


@pytest.fixture
def service(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    container: Mapping[str, Any] = pod["containers"][0]
    return container


@pytest.fixture
def told(service: Mapping[str, Any], tmp_path: Path) -> Mapping[str, str]:
    """What the service is told, with the secrets at hand."""
    given = {one["name"]: one["value"] for one in service["env"]}
    for name in [name for name in given if name.endswith("_FILE")]:
        (tmp_path / name).write_text("a-secret")
        given[name] = str(tmp_path / name)
    return given


@pytest.mark.parametrize("document", DOCUMENTS)
def test_kubernetes_knows_every_field(document: Mapping[str, Any]) -> None:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_service_knows_every_setting(told: Mapping[str, str]) -> None:
    settings = load_settings(told)

    assert settings.auth.bearer_token is not None


def test_the_grace_period_is_longer_than_draining(pod: Mapping[str, Any], told: Mapping[str, str]) -> None:
    assert pod["terminationGracePeriodSeconds"] >= load_settings(told).server.drain + 20


def test_the_probes_ask_where_the_service_answers(service: Mapping[str, Any], told: Mapping[str, str]) -> None:
    ports = {port["name"]: str(port["containerPort"]) for port in service["ports"]}

    assert ports == {"a2a": told["A2A_PORT"], "admin": told["A2A_ADMIN_PORT"]}
    assert {service[kind]["httpGet"]["port"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        "admin"
    }


def test_both_containers_are_shut_in(pod: Mapping[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        shut = container["securityContext"]
        assert (shut["allowPrivilegeEscalation"], shut["readOnlyRootFilesystem"]) == (False, True)
        assert shut["capabilities"] == {"drop": ["ALL"]}
    assert len({container["securityContext"]["runAsUser"] for container in pod["containers"]}) == 2


def test_the_secrets_of_the_service_are_shown_to_it_alone(pod: Mapping[str, Any]) -> None:
    mounts = {one["name"]: {mount["name"] for mount in one["volumeMounts"]} for one in pod["containers"]}

    assert "secrets" in mounts["service"]
    assert "secrets" not in mounts["opencode"]
    assert {mount["subPath"] for mount in pod["containers"][1]["volumeMounts"] if "subPath" in mount} == {
        "opencode",
        "workspace",
    }


def test_images_are_not_root_and_as_the_manifests_take_them(pod: Mapping[str, Any]) -> None:
    for file, container in zip(("Containerfile", "opencode.Containerfile"), pod["containers"], strict=True):
        text = (OPS / "container" / file).read_text(encoding="utf-8")
        user = re.search(r"^USER (\d+):", text, flags=re.MULTILINE)
        assert user is not None
        assert int(user[1]) == container["securityContext"]["runAsUser"]


def test_the_image_of_opencode_has_the_version_tests_run_with(pod: Mapping[str, Any]) -> None:
    text = (OPS / "container" / "opencode.Containerfile").read_text(encoding="utf-8")

    assert f"ARG OPENCODE={VERSION}\n" in text
    assert pod["containers"][1]["image"] == f"opencode:{VERSION}"
