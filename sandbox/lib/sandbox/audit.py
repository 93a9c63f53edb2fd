"""Who wrote what: the API server's audit log as a table or as JSON."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sandbox.errors import SandboxError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: "create" in name only: these ask a question and store nothing.
_QUESTIONS = {
    "tokenreviews",
    "subjectaccessreviews",
    "localsubjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "selfsubjectreviews",
}
_NO_WRITES = {("pods", "exec"), ("pods", "attach"), ("pods", "portforward")}


@dataclass(frozen=True)
class Write:
    """One request that could change something."""

    time: str
    user: str
    verb: str
    object: str
    code: int
    dry_run: bool
    agent: str


def moment(text: str) -> datetime.datetime:
    """Read a point in time: an age such as `90s`, `5m`, `2h`, seconds since 1970, or ISO 8601."""
    if age := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=float(age[1]) * _UNITS[age[2]])
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.datetime.fromtimestamp(float(text), datetime.UTC)
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise SandboxError(
            f"{text!r} is no point in time", "give an age (90s, 5m, 2h), seconds since 1970, or ISO 8601 (2026-01-31T12:00:00+00:00)"
        ) from None
    return found if found.tzinfo else found.astimezone()


def is_system(user: str) -> bool:
    """Tell whether a user is part of the cluster or of the sandbox itself, rather than someone who uses it."""
    return user.startswith(("system:", "kubernetes"))


def read(log: Path, since: datetime.datetime | None) -> Iterator[Write]:
    """Yield the writes in the audit log, oldest first. Questions, and exec into a pod, change nothing in the cluster's store."""
    if not log.exists():
        raise SandboxError(f"there is no audit log at {log}", "sandbox/sandbox up")
    with log.open() as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:  # the last line, while it is written
                continue
            if event.get("stage") != "ResponseComplete":
                continue
            about = event.get("objectRef", {})
            kind, part = about.get("resource", ""), about.get("subresource", "")
            if kind in _QUESTIONS or (kind, part) in _NO_WRITES:
                continue
            if since and datetime.datetime.fromisoformat(event["requestReceivedTimestamp"]) < since:
                continue
            name = "/".join(word for word in (about.get("namespace", ""), kind, about.get("name", ""), part) if word)
            query = parse_qs(urlsplit(event["requestURI"]).query)
            yield Write(
                event["requestReceivedTimestamp"],
                event["user"]["username"],
                event["verb"],
                name or urlsplit(event["requestURI"]).path,
                event.get("responseStatus", {}).get("code", 0),
                "dryRun" in query,
                event.get("userAgent", "").split(" ")[0],
            )


def table(writes: list[Write]) -> str:
    """Render writes for people."""
    rows = [("TIME", "USER", "VERB", "OBJECT", "CODE", "AGENT")]
    for write in writes:
        verb = f"{write.verb} (dry run)" if write.dry_run else write.verb
        rows.append((write.time[11:23], write.user, verb, write.object, str(write.code), write.agent))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def as_json(writes: list[Write]) -> str:
    """Render writes for programs: a list of objects with the table's columns and `dry_run`."""
    return json.dumps([asdict(write) for write in writes], indent=1)
