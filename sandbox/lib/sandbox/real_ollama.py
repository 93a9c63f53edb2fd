"""A real Ollama in the place of the simulated one: the cluster's second tier, behind the same Service, with the tiny model."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import Any

from sandbox import engine, images, manifests
from sandbox.box import Box
from sandbox.errors import SandboxError
from sandbox.load import import_archive
from sandbox.progress import step
from sandbox.tiny_model import PARAMETERS, SENTENCE, TEMPLATE, model
from sandbox.up import kubectl

#: The names that the inventories ask for.
MODELS = ("qwen2.5:3b", "neural-chat")
_SERVE = """\
ollama serve &
until ollama list >/dev/null 2>&1; do sleep 0.1; done
for name in $MODELS; do ollama show "$name" >/dev/null 2>&1 || ollama create "$name" --file /model/Modelfile; done
touch /data/ready
wait
"""
_ADDRESS = "http://ollama.ml.svc.cluster.local:11434"
_ASK = f"import urllib.request as u; u.build_opener(u.ProxyHandler({{}})).open('{_ADDRESS}/api/version', timeout=2).read()"
#: Answers in a row that say it is so, and seconds until then at most.
_ENOUGH, _LED_WITHIN = 5, 60


def modelfile() -> str:
    """Return what `ollama create` makes the tiny model from."""
    lines = ["FROM /model/tiny.gguf", f'TEMPLATE """{TEMPLATE}"""']
    for name, value in PARAMETERS.items():
        lines += [f"PARAMETER {name} {each}" for each in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


def objects() -> list[dict[str, Any]]:
    """Return the model as a ConfigMap, and the Deployment that takes the simulator's place."""
    image = images.named("ollama")
    weights = {"tiny.gguf": base64.b64encode(model(SENTENCE)).decode()}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "tiny-model", "namespace": "ml"},
        "data": {"Modelfile": modelfile()},
        "binaryData": weights,
    }
    variables = {"HOME": "/data", "TMPDIR": "/data", "OLLAMA_MODELS": "/data/models", "MODELS": " ".join(MODELS)}
    container = {
        "name": "ollama",
        "image": image.reference,
        "imagePullPolicy": "Never",
        "command": ["sh", "-ec", _SERVE],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"containerPort": 11434}],
        "readinessProbe": {"exec": {"command": ["test", "-e", "/data/ready"]}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": manifests.CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "model", "mountPath": "/model", "readOnly": True},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    template = {
        "metadata": {"labels": {"app": "ollama"}, "annotations": {"sandbox/image": image.hash}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": manifests.POD_SECURITY,
            "terminationGracePeriodSeconds": 2,
            "containers": [container],
            "volumes": [
                {"name": "model", "configMap": {"name": "tiny-model"}},
                {"name": "data", "emptyDir": {}},
            ],
        },
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ollama", "namespace": "ml", "labels": {"app": "ollama"}},
        "spec": {"selector": {"matchLabels": {"app": "ollama"}}, "template": template},
    }
    return [config_map, deployment]


def put(box: Box) -> None:
    """Bring it into a sandbox that is up, building it when it is not there yet. One that is there stays."""
    archive = engine.built(images.named("ollama"))
    with step("Putting a real Ollama in the place of the simulated one"):
        import_archive(box, archive)
        documents = "\n---\n".join(json.dumps(body) for body in objects())
        kubectl(box, "apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=documents)
        kubectl(box, "--request-timeout=0", "rollout", "status", "--namespace", "ml", "deployment/ollama", "--timeout=180s")
        _wait_until_led_to(box)


def _wait_until_led_to(box: Box) -> None:
    """Wait until its Service leads to nobody else: for a moment some connections still go to the pod before it, which is gone."""
    asking = [*box.enter(), sys.executable, "-c", _ASK]
    deadline = time.monotonic() + _LED_WITHIN
    in_a_row = 0
    while in_a_row < _ENOUGH:
        in_a_row = in_a_row + 1 if subprocess.run(asking, capture_output=True, check=False).returncode == 0 else 0
        if time.monotonic() > deadline:
            raise SandboxError(
                f"the real Ollama does not answer at {_ADDRESS} after {_LED_WITHIN} s", "see its log: kubectl logs -n ml deploy/ollama"
            )
