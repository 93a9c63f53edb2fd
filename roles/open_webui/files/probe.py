"""Asks Open-WebUI in this container for a path, and succeeds only when the JSON it answers says so.

It answers any path it does not know with its page and 200.
"""

import json
import sys
import urllib.request

with urllib.request.urlopen(f"http://127.0.0.1:8080{sys.argv[1]}", timeout=4) as answer:
    said = answer.read()
try:
    found = json.loads(said).get("status") is True
except ValueError:
    found = False
sys.exit(0 if found else f"{sys.argv[1]} answered {said[:200]!r}")
