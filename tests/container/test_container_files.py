"""The files for containers agree with each other, with the image, and with what the daemon takes as its configuration."""

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from artifact_sync import config
from artifact_sync.config import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FOLDER = ROOT / "config"
COMPOSE = FOLDER / "compose" / "compose.yaml"
KUBERNETES = sorted((FOLDER / "kubernetes").glob("*.yaml"))
USER = 10001
#: Of the image, with those who may be reached at the port.
STATE, STORE, SETTINGS, PORT = "/var/lib/artifact-sync", "/srv/mirror", "/etc/artifact-sync", 8700


def instruction(name: str) -> Any:
    """The last one of its name in the Dockerfile, where it is written as JSON."""
    found = re.findall(rf"^ *{name} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(found[-1])


def documents(path: Path, kind: str) -> list[dict[str, Any]]:
    """Of this kind in a file of Kubernetes."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each["kind"] == kind]


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Each deployment's pod, under the name of its file."""
    return [
        (path.name, each["spec"]["template"]["spec"]) for path in KUBERNETES for each in documents(path, "Deployment")
    ]


def ours(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of its containers that are artifact-sync."""
    containers = [*pod.get("initContainers", []), *pod["containers"]]
    return [each for each in containers if "/artifact-sync:" in each["image"]]


def configured(path: Path, folder: Path) -> Settings:
    """The configuration in a ConfigMap, as the daemon reads it."""
    (found,) = documents(path, "ConfigMap")
    written = folder / "config.yaml"
    written.write_text(found["data"]["config.yaml"])
    return config.load(written)


def configurations(folder: Path) -> dict[str, Settings]:
    """All of them, by the file that they are in."""
    maps = [path for path in KUBERNETES if documents(path, "ConfigMap")]
    return {
        COMPOSE.name: config.load(COMPOSE.parent / "artifact-sync" / "config.yaml"),
        **{path.name: configured(path, folder) for path in maps},
    }


def test_the_configurations_lie_where_the_image_has_its_volumes(tmp_path):
    """Store and state of each are volumes of the image, and tokens are no part of the text."""
    assert instruction("VOLUME") == [STATE, STORE]
    found = configurations(tmp_path)
    assert set(found) == {"compose.yaml", "deployment.yaml", "sidecar.yaml"}
    for name, settings in found.items():
        assert settings.store_path == Path(STORE), name
        assert settings.state_path.parent == Path(STATE), name
        token = settings.gitlab.token.file
        assert token is not None, name
        assert str(token).startswith("/run/secrets/"), name


def test_every_secret_of_a_configuration_is_mounted(tmp_path):
    """The files that tokens are read from are those that Compose and Kubernetes put there."""
    compose = yaml.safe_load(COMPOSE.read_text())
    assert (
        set(compose["services"]["artifact-sync"]["secrets"]) == set(compose["secrets"]) == {"gitlab-token", "readers"}
    )
    for name, settings in configurations(tmp_path).items():
        files = {str(settings.gitlab.token.file), *(str(reader.file) for reader in settings.server.tokens)}
        folder = "/run/secrets" if name == COMPOSE.name else "/run/secrets/artifact-sync"
        wanted = {f"{folder}/gitlab-token", *([f"{folder}/readers"] if settings.server.tokens else [])}
        assert files == wanted, name
    for name, pod in pods():
        for container in ours(pod):
            assert {"name": "secrets", "mountPath": "/run/secrets/artifact-sync", "readOnly": True} in container[
                "volumeMounts"
            ], name


def test_the_image_runs_without_rights_and_buries_children():
    """The user is the one that owns the folders; PID 1 is tini; no instruction of the running image needs a shell."""
    assert re.search(rf"^USER {USER}:{USER}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"--owner=(\d+) --group=(\d+)", DOCKERFILE) == [(str(USER), str(USER))] * 2
    assert instruction("ENTRYPOINT") == ["/usr/bin/tini", "--", "artifact-sync"]
    assert instruction("CMD") == ["run"]
    assert re.search(rf"^EXPOSE {PORT}$", DOCKERFILE, re.MULTILINE)


def test_the_build_backend_is_wanted_with_all_that_it_needs():
    """What the Dockerfile takes out of the lock of the development is hatchling and its dependencies, each in the lock."""
    (listed,) = re.findall(r"wanted = /\^\((.*)\)==/", DOCKERFILE)
    needed, waiting = set(), ["hatchling"]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting += {requirement.name.lower().replace("_", "-")} - needed
    assert set(listed.split("|")) == needed
    lock = (ROOT / "requirements-dev.lock").read_text()
    assert all(f"\n{name}==" in f"\n{lock}" for name in needed)


def test_the_health_check_is_one():
    """That of the image, of Compose and of the sidecar's probes."""
    (image,) = re.findall(r"CMD (\[.*healthcheck\"\])", DOCKERFILE)
    command = json.loads(image)
    service = yaml.safe_load(COMPOSE.read_text())["services"]["artifact-sync"]
    assert service["healthcheck"]["test"] == ["CMD", *command]
    times = re.search(r"--interval=(\w+) --timeout=(\w+) --start-period=(\w+) --retries=(\d+)", DOCKERFILE)
    assert times is not None
    names = ("interval", "timeout", "start_period", "retries")
    assert tuple(str(service["healthcheck"][name]) for name in names) == times.groups()
    (pod,) = (pod for name, pod in pods() if name == "sidecar.yaml")
    (sidecar,) = (each for each in ours(pod) if each.get("restartPolicy") == "Always")
    for probe in ("startupProbe", "livenessProbe"):
        assert sidecar[probe]["exec"]["command"] == command


def test_what_listens_is_reached(tmp_path):
    """Ports of Compose, of the deployment, of its service and of the policy are those of the configurations."""
    found = configurations(tmp_path)
    assert found["compose.yaml"].server.listen == found["deployment.yaml"].server.listen == f"0.0.0.0:{PORT}"
    compose = yaml.safe_load(COMPOSE.read_text())["services"]
    assert compose["artifact-sync"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    nginx = (COMPOSE.parent / "nginx.conf").read_text()
    (port,) = re.findall(r"listen (\d+);", nginx)
    assert compose["files"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (pod,) = (pod for name, pod in pods() if name == "deployment.yaml")
    (container,) = ours(pod)
    assert container["ports"] == [{"name": "http", "containerPort": PORT}]
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    (service,) = documents(FOLDER / "kubernetes" / "deployment.yaml", "Service")
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    (policy,) = documents(FOLDER / "kubernetes" / "networkpolicy.yaml", "NetworkPolicy")
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": PORT}]
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"]


@pytest.mark.parametrize(("name", "pod"), pods(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_pod_is_restricted(name, pod):
    """By the Pod Security Standard `restricted`, and beyond it with a read-only root; every mount has its volume."""
    common = pod["securityContext"]
    assert common["runAsNonRoot"] is True
    assert common["seccompProfile"] == {"type": "RuntimeDefault"}
    assert common["fsGroup"] == USER
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    for container in ours(pod):
        users = {**common, **container["securityContext"]}
        assert (users["runAsUser"], users["runAsGroup"]) == (USER, USER)
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {STATE, STORE, SETTINGS, "/tmp"} <= mounted


def test_one_daemon_has_a_volume():
    """Never two at a time on one state."""
    (deployment,) = documents(FOLDER / "kubernetes" / "deployment.yaml", "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_the_application_reads_and_the_sidecar_writes(tmp_path):
    """First a pass, then the daemon, on one volume; the application sees it read-only, by the group of the files."""
    (pod,) = (pod for name, pod in pods() if name == "sidecar.yaml")
    first, sidecar = pod["initContainers"]
    (app,) = pod["containers"]
    assert (first["args"], sidecar["args"]) == (["sync"], ["run"])
    assert first["volumeMounts"] == sidecar["volumeMounts"]
    assert app["volumeMounts"] == [{"name": "builds", "mountPath": "/builds", "readOnly": True}]
    assert app["securityContext"]["runAsUser"] != USER
    settings = configurations(tmp_path)["sidecar.yaml"]
    assert (settings.store.mode, settings.store.group) == (0o640, str(pod["securityContext"]["fsGroup"]))


@pytest.mark.parametrize("service", ["artifact-sync", "files"])
def test_a_service_of_compose_is_confined(service):
    """No capability, no new rights, a read-only root; nginx cannot write what is mirrored."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    found = services[service]
    assert (found["read_only"], found["cap_drop"]) == (True, ["ALL"])
    assert found["security_opt"] == ["no-new-privileges:true"]
    volume = {"artifact-sync": f"mirror:{STORE}", "files": f"mirror:{STORE}:ro"}[service]
    assert volume in found["volumes"]
