# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failover probe's worker through an outage of the simulator's backends: `outage_client.py WORK WORKER`.

WORK is JSON: `spec` of the worker, whose source is WORKER; `admin`, the simulator's; `faults`, per host what breaks it after `steady`
seconds. Runs in a pod, with the standard library only. Prints the worker's lines, and one more: when the faults were set, by the
same clock.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.parse
from typing import Any

given: dict[str, Any] = json.loads(sys.argv[1])


def put(faults: dict[str, Any]) -> None:
    address = urllib.parse.urlsplit(given["admin"])
    for host, fault in faults.items():
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        connection.request("PUT", f"/hosts/{host}/fault", json.dumps(fault), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            sys.exit(f"{host}: {response.status} {response.read()!r}")
        connection.close()


worker = subprocess.Popen([sys.executable, "-c", sys.argv[2]], env={**os.environ, "FAILOVER_PROBE_SPEC": json.dumps(given["spec"])})
time.sleep(given["steady"])
began = time.monotonic()
put(given["faults"])
print(json.dumps({"kind": "broken", "begun": began, "ended": time.monotonic()}), flush=True)
status = worker.wait()
put({host: {"kind": "none"} for host in given["faults"]})
sys.exit(status)
