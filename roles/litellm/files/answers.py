"""Asks LiteLLM in this container's pod for models by name, with no other to answer in their place, and prints as JSON which do not answer.

Runs in LiteLLM's container, so the master key stays there. The argument is a JSON list of {key, model}: the provider's key that is new, and
a model that is asked with it. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
problems, lines = [], []
for each in json.loads(sys.argv[1]):
    question = [{"role": "user", "content": "Answer with the word OK."}]
    body = {"model": each["model"], "messages": question, "max_tokens": 16, "disable_fallbacks": True, "num_retries": 0}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['LITELLM_MASTER_KEY']}"}
    request = urllib.request.Request("http://127.0.0.1:4000/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        with opener.open(request, timeout=90) as answer:
            json.load(answer)["choices"]
        lines.append(f"{each['model']} answers with the new {each['key']}")
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace").replace(os.environ.get(each["key"]) or "\0", "********")
        problems.append(f"{each['model']} does not answer with the new {each['key']}: {error.code} {said[:300]}")
    except (OSError, ValueError, KeyError) as error:
        problems.append(f"{each['model']} does not answer with the new {each['key']}: {type(error).__name__}")
print(json.dumps({"problems": problems, "lines": lines}))
