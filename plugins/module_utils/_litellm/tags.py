# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This module util is PRIVATE to the collection: it may change at any time.
"""Whether a provider that speaks Ollama's protocol has the models that entries ask it for, and takes the key they ask it with.

Standard library only and nothing of this collection: the source of this file is also run as a program in a pod, where the one argument
is a JSON list of places to ask, each with `api_base` and `key_name`, and the keys are environment variables of those names.

`GET /api/tags` of ollama.com answers anybody, so it proves nothing about a key. `POST /v1/chat/completions` with an empty body does, and
costs nothing: the key is looked at before the body (401), and a body without a model is refused (400).
"""

from __future__ import annotations

import difflib
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

REFERENCE = "os.environ/"

#: Environment variables of the pod beside the keys.
CA_VARIABLE = "HOMELAB_LLM_CA"
TIMEOUT_VARIABLE = "HOMELAB_LLM_TIMEOUT"

#: A list of models is some ten kB.
_MOST = 4 << 20

#: The way out of every check that cannot be made.
ANYWAY = "To write the config without asking, leave verify_tags out (in role litellm: litellm_verify_tags: false)"


@dataclass(frozen=True)
class Place:
    """A provider and the name of the key it is asked with. `wanted` are pairs of a LiteLLM model and the provider's tag for it."""

    api_base: str
    key_name: str
    wanted: tuple[tuple[str, str], ...]

    @property
    def models(self) -> str:
        return ", ".join(dict.fromkeys(model for model, _tag in self.wanted))


@dataclass(frozen=True)
class Answer:
    """What a provider said: the tags it has (None when it could not be asked, with the reason), and whether it refused the key."""

    tags: tuple[str, ...] | None = None
    error: str = ""
    refused: int = 0


def places(entries: Iterable[Mapping[str, Any]]) -> list[Place]:
    """Group the entries of a `model_list` that have a provider of this kind by where they ask."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for entry in entries:
        params = entry.get("litellm_params") or {}
        kind, _slash, tag = str(params.get("model")).partition("/")
        base, key = str(params.get("api_base") or "").rstrip("/"), str(params.get("api_key") or "")
        # Neither a pattern nor an address that only the pods' environment knows can be asked for.
        known = tag and "*" not in tag and base and not base.startswith(REFERENCE)
        if kind in ("ollama", "ollama_chat") and known and key.startswith(REFERENCE):
            wanted = found.setdefault((base, key.removeprefix(REFERENCE)), [])
            if (asked := (str(entry.get("model_name")), tag)) not in wanted:
                wanted.append(asked)
    return [Place(base, key, tuple(wanted)) for (base, key), wanted in found.items()]


def judge(place: Place, answer: Answer, where_key_is: str) -> list[str]:
    """What is wrong, one sentence each, without the value of any key."""
    problems = []
    if answer.refused:
        problems.append(
            f"{place.api_base} refuses the key {place.key_name} ({answer.refused}) that {place.models} would ask with: "
            f"put the right one into {where_key_is}"
        )
    if answer.tags is None:
        if not answer.refused:
            problems.append(f"{place.api_base} could not be asked whether it has the models of {place.models}: {answer.error}. {ANYWAY}")
        return problems
    there = {_full(tag) for tag in answer.tags}
    for model, tag in place.wanted:
        if _full(tag) not in there:
            meant = "" if _full(tag) == tag else f" (which means {_full(tag)})"
            problems.append(f"model '{model}' asks {place.api_base} for {tag}{meant}, which it does not have. {_nearest(tag, answer.tags)}")
    return problems


def _full(tag: str) -> str:
    """Ollama takes a name without a tag for `latest`."""
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


def _nearest(tag: str, tags: tuple[str, ...]) -> str:
    if not tags:
        return "It has no models at all"
    close = difflib.get_close_matches(tag, tags, n=3, cutoff=0.5)
    close += [each for each in tags if each.partition(":")[0] == tag.partition(":")[0] and each not in close]
    if close:
        return f"The nearest it has: {', '.join(close[:5])}"
    more = f" and {len(tags) - 10} more" if len(tags) > 10 else ""
    return f"It has: {', '.join(sorted(tags)[:10])}{more}"


def ask(api_base: str, key: str, *, timeout: float, ca: str = "") -> Answer:
    """Ask one provider, from here. `ca` is the PEM text of authorities to trust besides the usual ones."""
    try:
        opener = urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=_context(ca)))
        status, text = _send(opener, f"{api_base}/api/tags", key, None, timeout)
    except _NotAskedError as error:
        return Answer(error=str(error))
    if status in (401, 403):
        return Answer(refused=status)
    tags = _tags(text) if status == 200 else None
    if tags is None:
        why = f"answered GET /api/tags with {status}"
        return Answer(error=f"it {why} and no list of models" if status == 200 else f"it {why}")
    try:
        proof, _text = _send(opener, f"{api_base}/v1/chat/completions", key, b"{}", timeout)
    except _NotAskedError:
        proof = 0  # It has just answered, so whatever this is, it says nothing about the key.
    return Answer(tags, refused=proof if proof in (401, 403) else 0)


class _NotAskedError(Exception):
    """No answer came; the text is half a sentence without anything secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key is for the address that was told and for no other."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        # What LiteLLM's own client trusts. An image may well have no other list.
        import certifi

        context.load_verify_locations(certifi.where())
    except (ImportError, OSError):
        pass
    if ca:
        try:
            context.load_verify_locations(cadata=ca)
        except (ssl.SSLError, ValueError):
            raise _NotAskedError("the text of ca is no certificate in PEM form") from None
    return context


def _send(opener: urllib.request.OpenerDirector, url: str, key: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
    """Return status and body of any answer."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise _NotAskedError("its address does not begin with http:// or https://")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": "homelab.llm"}
    try:
        with opener.open(urllib.request.Request(url, body, headers), timeout=timeout) as answer:  # noqa: S310  # checked above
            return answer.status, answer.read(_MOST)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""
    except TimeoutError:
        raise _NotAskedError(f"it did not answer in {timeout:g} s") from None
    except urllib.error.URLError as error:
        raise _NotAskedError(_why(error.reason, timeout)) from None
    except ValueError:
        # http.client quotes the header, which is the key.
        raise _NotAskedError("the key has a character in it that no key can have, perhaps a line end, or the address has") from None
    except OSError as error:
        raise _NotAskedError(_why(error, timeout)) from None
    except Exception as error:  # http.client's own, which say nothing of the request
        raise _NotAskedError(f"its answer is not HTTP ({type(error).__name__})") from None


def _why(reason: object, timeout: float) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message}): give the authority's certificate with ca"
    if isinstance(reason, TimeoutError):
        return f"it did not answer in {timeout:g} s"
    return getattr(reason, "strerror", None) or type(reason).__name__


def _tags(text: bytes) -> tuple[str, ...] | None:
    """The names in the answer of `/api/tags`, where `name` and `model` are the same; None when it is no such answer."""
    try:
        models = json.loads(text)["models"] or []
        return tuple(str(each.get("name") or each["model"]) for each in models)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def main() -> None:
    timeout, ca = float(os.environ.get(TIMEOUT_VARIABLE, "10")), os.environ.get(CA_VARIABLE, "")
    answers = [ask(each["api_base"], os.environ[each["key_name"]], timeout=timeout, ca=ca) for each in json.loads(sys.argv[1])]
    sys.stdout.write(json.dumps([{"tags": each.tags, "error": each.error, "refused": each.refused} for each in answers]) + "\n")


if __name__ == "__main__":
    main()
