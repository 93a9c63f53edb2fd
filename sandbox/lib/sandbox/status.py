"""What a sandbox is doing: for people as text, for programs as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

from sandbox import programs
from sandbox.box import WEB_DOMAIN, Box
from sandbox.errors import SandboxError
from sandbox.forward import forwards
from sandbox.images import loaded_images
from sandbox.up import kubectl, unready


def _pods(box: Box) -> list[dict[str, Any]]:
    pods = json.loads(kubectl(box, "get", "pods", "--all-namespaces", "--output", "json"))["items"]
    found = []
    for pod in pods:
        containers = pod["status"].get("containerStatuses", [])
        waiting = [status["state"]["waiting"].get("reason", "") for status in containers if "waiting" in status.get("state", {})]
        found.append(
            {
                "namespace": pod["metadata"]["namespace"],
                "name": pod["metadata"]["name"],
                "phase": ", ".join(waiting) or pod["status"].get("phase", ""),
                "ready": bool(containers) and all(status["ready"] for status in containers),
                "restarts": sum(status["restartCount"] for status in containers),
            }
        )
    return found


def status(box: Box) -> dict[str, Any]:
    """Return the state of a sandbox.

    `state` is `ready`, `degraded` (with `problems`), `starting`, `killed` (something is left over: `down` cleans up) or `down`.
    """
    result: dict[str, Any] = {"name": box.name, "owner": str(box.owner or ""), "folder": str(box.folder)}
    if not box.launcher:
        return {**result, "state": "killed" if box.left_over else "down"}
    state = box.state
    ports = state["ports"]
    result |= {
        "state": "ready" if state["ready"] else "starting",
        "up_seconds": round(time.time() - state["started"]),
        "kubernetes": programs.KUBERNETES_VERSION,
        "kubeconfig": str(box.kubeconfig),
        "addresses": {
            "api": f"https://127.0.0.1:{ports['api']}",
            "web": f"http://NAME.{WEB_DOMAIN}:{ports['http']}",
            "web_tls": f"https://NAME.{WEB_DOMAIN}:{ports['https']}",
        },
        "forwards": forwards(box),
        "images": [image.reference for image in loaded_images()],
        "components": box.components,
    }
    try:
        problems = unready(box) if state["ready"] else []
        result["pods"] = _pods(box)
    except SandboxError as error:
        problems, result["pods"] = [f"the API server does not answer ({str(error).splitlines()[0][-120:]})"], []
    if problems:
        result |= {"state": "degraded", "problems": problems}
    return result


def as_text(found: dict[str, Any]) -> str:
    """Render a status for people."""
    title = f"Sandbox {found['name']}: {found['state']}"
    if "components" not in found:
        return title
    minutes, seconds = divmod(found["up_seconds"], 60)
    lines = [f"{title}, up {minutes} min {seconds} s, Kubernetes {found['kubernetes']}"]
    lines += [f"  not ready: {problem}" for problem in found.get("problems", [])]
    lines += ["", f"  kubeconfig  {found['kubeconfig']}"]
    lines += [f"  {name.replace('_tls', ' (TLS)'):<10}  {url}" for name, url in found["addresses"].items()]
    lines += [f"  forward     {item['url']} -> {item['target']}" for item in found["forwards"]]
    names = [
        f"{name}{' (' + str(part['restarts']) + ' restarts)' if part['restarts'] else ''}" for name, part in found["components"].items()
    ]
    lines += ["", f"  programs    {', '.join(names)}", f"  images      {', '.join(found['images'])}", "", "  pods"]
    for pod in found["pods"]:
        more = f", {pod['restarts']} restarts" if pod["restarts"] else ""
        lines.append(f"    {pod['namespace'] + '/' + pod['name']:<52} {pod['phase'] if not pod['ready'] else 'Ready'}{more}")
    return "\n".join(lines)
