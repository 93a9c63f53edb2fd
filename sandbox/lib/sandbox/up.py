"""`up`: from whatever there is to a ready sandbox, doing only what is missing."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from sandbox import images, manifests, preflight, programs, store
from sandbox.box import Box, Ports, version
from sandbox.errors import SandboxError
from sandbox.progress import elapsed, say, step
from sandbox.run import output, tail

API_SECONDS = 60.0
READY_SECONDS = 180.0


def build_all() -> bool:
    """Build what is missing of programs, images and the image store; tell whether anything was."""
    if not programs.missing() and not images.missing() and store.folder_for(images.loaded_images()).exists():
        return False
    preflight.check(building=True)
    # Two lanes on purpose: compiling wants the processors, images mostly wait for package registries.
    with ThreadPoolExecutor(2) as lanes:
        compiling = lanes.submit(lambda: [programs.build(program) for program in programs.needed()])
        without_program = [image for image in images.loaded_images() if not image.program]
        baking = lanes.submit(lambda: [images.build(image) for image in without_program])
        compiling.result()
        baking.result()
    for image in images.loaded_images():
        images.build(image)
    store.build(images.loaded_images())
    return True


def up(box: Box, ports: Ports, *, replace: bool) -> None:
    """Bring a sandbox up; one that runs already is left alone, unless it is of an older version and `replace` is said."""
    box.claim()
    with box.lock():
        if box.launcher and (differing := _differences(box)):
            if not replace:
                raise SandboxError(
                    f"sandbox {box.name} runs, but was started by another version of this checkout (different: {', '.join(differing)})",
                    "`sandbox/sandbox up --replace` starts it anew and empty; with --name you get a second one beside it",
                )
            say(f"Sandbox {box.name} is of another version ({', '.join(differing)} differ): starting it anew")
            box.end()
        if box.ready:
            say(f"Sandbox {box.name} is up already")
            return
        if box.left_over:
            say(f"Sandbox {box.name} was killed: cleaning up after it")
            box.end()
        build_all()
        if not box.launcher:
            preflight.check(building=False)
            box.end()
            with step(f"Starting sandbox {box.name}"):
                box.launch(ports)
                _wait_for_api(box)
        with step("Applying CoreDNS, storage, Traefik and the upstream simulator"):
            apply(box)
        with step("Waiting until all of it is ready"):
            wait(box)
        box.mark_ready()
    say(f"Sandbox {box.name} is ready: Kubernetes {programs.KUBERNETES_VERSION}, {elapsed():.1f}s in all")


def _differences(box: Box) -> list[str]:
    mine, running = version(), box.state["version"]
    return [part for part in mine if mine[part] != running.get(part)]


def kubectl(box: Box, *words: str, stdin: str | None = None) -> str:
    """Run kubectl as the sandbox itself, whose writes the audit leaves out unless asked."""
    return output([programs.kubectl(), "--kubeconfig", box.manager_kubeconfig, "--request-timeout=10s", *words], stdin=stdin)


def _alive(box: Box) -> None:
    if not box.launcher:
        log = box.folder / "log" / "node.log"
        raise SandboxError(f"sandbox {box.name} ended while it started:\n{tail(log)}", f"logs are in {log.parent}")


def _wait_for_api(box: Box) -> None:
    deadline = time.monotonic() + API_SECONDS
    command = [str(programs.kubectl()), "--kubeconfig", str(box.manager_kubeconfig), "get", "--raw", "/readyz"]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        _alive(box)
        if time.monotonic() > deadline:
            log = box.folder / "log" / "kube-apiserver.log"
            raise SandboxError(f"the API server was not ready within {API_SECONDS:.0f} s:\n{tail(log)}", f"logs are in {log.parent}")
        time.sleep(0.1)


def apply(box: Box) -> None:
    """Apply the manifests that every sandbox has. What is secret goes through a pipe."""
    server_side = ("apply", "--server-side", "--force-conflicts", "--filename", "-")
    kubectl(box, *server_side, stdin=manifests.crds())
    kubectl(box, *server_side, stdin=manifests.render(box.folder / "pki", box.keys))


def unready(box: Box) -> list[str]:
    """Return what is not ready: the node, and the deployments of the sandbox."""
    node = json.loads(kubectl(box, "get", "nodes", "--output", "json"))["items"]
    ready = [condition["status"] for item in node for condition in item["status"]["conditions"] if condition["type"] == "Ready"]
    problems = [] if ready == ["True"] else ["node sandbox"]
    deployments = json.loads(kubectl(box, "get", "deployments", "--all-namespaces", "--output", "json"))["items"]
    found = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in deployments}
    for key in manifests.DEPLOYMENTS:
        status = found.get(key, {}).get("status", {})
        current = status.get("observedGeneration") == found[key]["metadata"]["generation"] if key in found else False
        if not current or status.get("updatedReplicas", 0) < 1 or status.get("availableReplicas", 0) < 1:
            problems.append(f"deployment {'/'.join(key)}")
    return problems


def wait(box: Box) -> None:
    """Wait until the node and the deployments are ready."""
    deadline = time.monotonic() + READY_SECONDS
    while problems := unready(box):
        _alive(box)
        if time.monotonic() > deadline:
            pods = kubectl(box, "get", "pods", "--all-namespaces", "--output", "wide")
            raise SandboxError(
                f"not ready within {READY_SECONDS:.0f} s: {', '.join(problems)}\n{pods}",
                f"`sandbox/sandbox kubectl describe …`; logs are in {box.folder / 'log'}",
            )
        time.sleep(0.2)


def down(box: Box, *, force: bool) -> bool:
    """End a sandbox; tell whether there was anything to end."""
    if not force:
        box.refuse_anothers("call `down` there, or add --force")
    with box.lock():
        was = bool(box.state) or box.left_over
        box.end()
    return was
