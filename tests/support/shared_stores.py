# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Postgres and a real Redis in a namespace, from Debian's packages, for what several pods share. They forget all with their pods."""

from __future__ import annotations

import subprocess
from typing import Any

from drilled_site import create, deployment, service, wait_until_ready
from kubernetes import client
from site_under_test import SANDBOX

from secret_under_test import key

POSTGRES, REDIS = "docker.io/sandbox/postgres:15", "docker.io/sandbox/redis:7.0"
DATABASE = "open_webui"


def put_stores(core: client.CoreV1Api, namespace: str) -> dict[str, str]:
    """Start both, and return their passwords by name, which are the keys of Secret `stores` as well."""
    for image in ("postgres", "redis"):
        subprocess.run([*SANDBOX, "load", image], check=True)
    passwords = {"postgres": key().replace("sk-", ""), "redis": key().replace("sk-", "")}
    config = f'bind 0.0.0.0\nport 6379\nsave ""\ndir /tmp\nrequirepass {passwords["redis"]}\n'
    objects: list[dict[str, Any]] = [
        {"kind": "Secret", "metadata": {"name": "stores"}, "stringData": {**passwords, "redis.conf": config}},
        deployment("postgres", _postgres(), volumes=[*_VOLUMES, {"name": "data", "emptyDir": {}}]),
        deployment("redis", _redis(), volumes=_VOLUMES),
        service("postgres", (5432,)),
        service("redis", (6379,)),
    ]
    create(core.api_client, namespace, objects)
    wait_until_ready(core.api_client, namespace)
    return passwords


_VOLUMES: list[dict[str, Any]] = [{"name": "stores", "secret": {"secretName": "stores"}}]
_MOUNT = {"name": "stores", "mountPath": "/stores", "readOnly": True}


def _postgres() -> dict[str, Any]:
    variables = {"POSTGRES_USER": DATABASE, "POSTGRES_DB": DATABASE, "POSTGRES_PASSWORD_FILE": "/stores/postgres"}
    return {
        "image": POSTGRES,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1, "timeoutSeconds": 5},
        "volumeMounts": [_MOUNT, {"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }


def _redis() -> dict[str, Any]:
    return {
        "image": REDIS,
        "command": ["redis-server", "/stores/redis.conf"],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "volumeMounts": [_MOUNT],
    }
