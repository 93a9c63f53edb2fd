"""A Service of the sandbox on a loopback port of the host."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from sandbox import preflight
from sandbox.box import Box
from sandbox.errors import SandboxError
from sandbox.process import Process
from sandbox.up import kubectl


@dataclass(frozen=True)
class Target:
    """Where a Service answers inside the sandbox."""

    namespace: str
    service: str
    address: str
    port: int
    tls: bool


def find(box: Box, text: str) -> Target:
    """Find the Service that NAMESPACE/SERVICE:PORT names; the port by number or name, and left out when there is one only."""
    place, _, wanted = text.partition(":")
    namespace, slash, name = place.partition("/")
    if not slash or not namespace or not name:
        raise SandboxError(f"{text!r} does not name a Service", "as in ml/litellm:4000 (NAMESPACE/SERVICE:PORT)")
    found = kubectl(box, "get", "services", "--namespace", namespace, "--output", "json")
    services = {item["metadata"]["name"]: item["spec"] for item in json.loads(found)["items"]}
    if name not in services:
        raise SandboxError(f"there is no Service {name} in namespace {namespace}", f"there are: {', '.join(services) or 'none'}")
    ports = services[name].get("ports", [])
    chosen = [port for port in ports if wanted in (str(port["port"]), port.get("name", ""))] if wanted else ports
    if len(chosen) != 1:
        known = ", ".join(f"{port['port']}{' (' + port['name'] + ')' if port.get('name') else ''}" for port in ports)
        raise SandboxError(
            f"Service {place} has no port {wanted}" if wanted else f"Service {place} has several ports", f"choose from {known}"
        )
    port = int(chosen[0]["port"])
    address = services[name].get("clusterIP")
    if address in (None, "None"):
        address, port = _endpoint(box, namespace, name, chosen[0])
    return Target(namespace, name, address, port, tls=port == 443 or chosen[0].get("name") in ("https", "websecure"))


def _endpoint(box: Box, namespace: str, name: str, port: dict[str, object]) -> tuple[str, int]:
    slices = json.loads(
        kubectl(
            box, "get", "endpointslices", "--namespace", namespace, "--selector", f"kubernetes.io/service-name={name}", "--output", "json"
        )
    )["items"]
    for item in slices:
        for endpoint in item.get("endpoints") or []:
            for candidate in item["ports"]:
                if candidate.get("name") == port.get("name", ""):
                    return endpoint["addresses"][0], candidate["port"]
    raise SandboxError(f"headless Service {namespace}/{name} has no endpoint", f"see `kubectl get pods --namespace {namespace}`")


def forward(box: Box, text: str, port: int, *, detach: bool) -> None:
    """Carry a free or the given loopback port to a Service, until Ctrl-C or the sandbox's end."""
    target = find(box, text)
    listener = preflight.listen(port, f"{target.namespace}/{target.service}", "--port")
    number = listener.getsockname()[1]
    scheme = "https" if target.tls else "http"
    relay = ["-m", "sandbox.relay", "--relay", f"{listener.fileno()}={target.address}:{target.port}"]
    log = (box.folder / "log" / f"forward-{number}.log").open("wb")
    # Inside the sandbox's PID namespace: the kernel ends it with the sandbox.
    process = subprocess.Popen(
        [*box.enter(), sys.executable, *relay],
        pass_fds=[listener.fileno()],
        start_new_session=detach,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=box.environment,
    )
    listener.close()
    note = box.folder / "forwards" / f"{number}.json"
    note.parent.mkdir(exist_ok=True)
    url = f"{scheme}://127.0.0.1:{number}"
    note.write_text(json.dumps({"process": asdict(Process.of(process.pid)), "url": url, "target": f"{target.namespace}/{target.service}"}))
    print(f"{url} -> {target.namespace}/{target.service}:{target.port}{'' if detach else '  (Ctrl-C ends it)'}", flush=True)
    if detach:
        return
    try:
        process.wait()
        raise SandboxError("the forward ended", f"sandbox {box.name} may have gone down; see {log.name}")
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
    finally:
        note.unlink(missing_ok=True)


def forwards(box: Box) -> list[dict[str, str]]:
    """Return the forwards that are at work: url and target."""
    found = []
    for note in sorted((box.folder / "forwards").glob("*.json")):
        content = json.loads(note.read_text())
        if Process(**content["process"]).alive:
            found.append({"url": content["url"], "target": content["target"]})
    return found
