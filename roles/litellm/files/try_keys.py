"""Asks models with given keys, without a proxy in between, and prints as JSON whose key is refused, works, or could not be tried.

Runs in a pod of LiteLLM's image, with the code that will ask with them later on. The first argument is a JSON list of {key, model, params}:
the variable with the key, the name of the model, and its `litellm_params`. EXTRA_CA holds authorities to trust as well. An answer of few
words costs next to nothing; a list of models would cost nothing, but some providers give it to anybody.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import re
import sys
from typing import Any

SECONDS = 30
#: What providers say of a key they do not know, where it is not in the status.
REFUSED = re.compile(r"\b40[13]\b|unauthori[sz]ed|(?:invalid|incorrect)[^.]{0,20}api.?key|api.?key not valid", re.IGNORECASE)


def trust(extra: str) -> None:
    """Let all of LiteLLM's clients trust these authorities too. Before it is loaded."""
    import certifi

    bundle = pathlib.Path("/tmp/bundle.pem")  # noqa: S108  # the pod's own
    bundle.write_text(f"{pathlib.Path(certifi.where()).read_text()}\n{extra}")
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)


def tried(each: dict[str, Any]) -> tuple[str, str, str]:
    """Return the key's name, works, refused or unknown, and what was said."""
    import litellm

    params = {name: value for name, value in each["params"].items() if name not in ("api_key", "timeout", "stream_timeout", "max_tokens")}
    question = [{"role": "user", "content": "Answer with the word OK."}]
    key = os.environ[each["key"]]
    try:
        litellm.completion(**params, api_key=key, messages=question, max_tokens=16, timeout=SECONDS, num_retries=0, max_retries=0)
    except Exception as error:
        text = str(error).replace(key, "********")
        refused = getattr(error, "status_code", 0) in (401, 403) or REFUSED.search(text)
        return each["key"], "refused" if refused else "unknown", f"{each['key']} by {each['model']}: {text[:300]}"
    return each["key"], "works", f"{each['model']} answered"


if __name__ == "__main__":
    if os.environ.get("EXTRA_CA"):
        trust(os.environ["EXTRA_CA"])
    # What LiteLLM says by the way is not JSON.
    out, sys.stdout = sys.stdout, sys.stderr
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(tried, json.loads(sys.argv[1])))
    print("TRIED " + json.dumps([{"key": key, "found": verdict, "said": said} for key, verdict, said in found]), file=out)
