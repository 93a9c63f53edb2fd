"""The verb `upstream`: script the model servers of a sandbox."""

from __future__ import annotations

import argparse
import datetime
import json
from typing import Any

from sandbox import audit
from sandbox.box import Box
from sandbox.cloud import ADMIN_PORT
from sandbox.errors import SandboxError
from sandbox.inside import join_network
from sandbox.manifests import UPSTREAM_LABEL
from sandbox.up import kubectl
from sandbox.upstream_admin import Admin, UpstreamError

FAULTS = """\
A fault is a kind, perhaps with its main value, and options as NAME=VALUE:

  status=500           an error status with the provider's own body       retry_after=7  body=TEXT
  slow                 a slow answer                                       first_token=2.5 (seconds)  tokens_per_second=1
  hang                 stop for ever                                       where=before_headers|after_headers|mid_stream
  reset                end the connection with RST                         where=before_headers|mid_stream
  cut                  end the connection in the middle of the answer      end=clean|torn
  error_event          an error inside a stream that began with 200
  empty, wrong_model   200 with no text, or from another model
  echo_credential      401 with the credential in the body
  refuse, blackhole    connections are refused, or never answered

Every fault takes seconds=N; those of requests also count=N and model=NAME.

  sandbox/sandbox upstream fault vllm-api hang where=after_headers seconds=30
  sandbox/sandbox upstream fault api.openai.com status=429 retry_after=7 count=3
  sandbox/sandbox upstream counters
"""
#: The option that `kind=value` sets.
_MAIN_OPTION = {"status": "status", "hang": "where", "reset": "where", "slow": "first_token"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of this verb."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("hosts", help="the hosts, what they serve and their faults")
    fault = actions.add_parser("fault", help="make a host fail", description=FAULTS, formatter_class=argparse.RawDescriptionHelpFormatter)
    fault.add_argument("host")
    fault.add_argument("kind", metavar="KIND[=VALUE]")
    fault.add_argument("options", nargs="*", metavar="NAME=VALUE")
    clear = actions.add_parser("clear", help="end the fault of a host, or of all")
    clear.add_argument("host", nargs="?")
    actions.add_parser("counters", help="requests by host, model, status and outcome, as JSON")
    log = actions.add_parser("log", help="the last requests")
    log.add_argument("--host")
    log.add_argument("--since", metavar="WHEN", help="an age (90s, 5m, 2h), seconds since 1970, or ISO 8601")
    log.add_argument("--limit", type=int, default=100)
    log.add_argument("--json", action="store_true", help="for programs")
    actions.add_parser("reset", help="clear faults, counters and log everywhere")


def _simulators(box: Box) -> list[Admin]:
    """Return the simulators that run, and move this program into the sandbox's network to reach them."""
    pods = json.loads(kubectl(box, "get", "pods", "--all-namespaces", "--selector", f"{UPSTREAM_LABEL}=true", "--output", "json"))["items"]
    join_network(box)
    # A pod that is being deleted answers until it is gone, but no longer stands for its host.
    running = [pod for pod in pods if pod["status"].get("podIP") and "deletionTimestamp" not in pod["metadata"]]
    return [Admin(pod["status"]["podIP"], ADMIN_PORT) for pod in running]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def fault_of(kind: str, options: list[str]) -> dict[str, Any]:
    """Make a fault document of the command line's words."""
    name, separator, value = kind.partition("=")
    document: dict[str, Any] = {"kind": name}
    if separator:
        if name not in _MAIN_OPTION:
            raise SandboxError(f"{name} takes no value", f"`{name} NAME=VALUE …`, see `sandbox/sandbox upstream fault --help`")
        document[_MAIN_OPTION[name]] = _value(value)
    for option in options:
        key, separator, value = option.partition("=")
        if not separator:
            raise SandboxError(f"{option!r} is no option", "options are written NAME=VALUE, as in seconds=30")
        document[key] = value if key in ("model", "body", "where") else _value(value)
    return document


def _print_hosts(hosts: list[dict[str, Any]]) -> None:
    for host in hosts:
        fault = "well" if host["fault"]["kind"] == "none" else json.dumps(host["fault"])
        print(f"{host['name']:<36} {host['protocol']:<10} {fault:<40} {', '.join(host['models'])}")


def _print_log(records: list[dict[str, Any]]) -> None:
    for record in records:
        clock = datetime.datetime.fromtimestamp(record["started"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
        words = [clock, f"{record['host']:<34}", str(record["status"] or "-"), f"{record['total']:.3f}s", record["model"] or record["path"]]
        print(" ".join([*words, "stream" if record["stream"] else "plain", record["outcome"], record["fault"]]).rstrip())


def _host(hosts: dict[str, Admin], name: str) -> Admin:
    if name not in hosts:
        known = ", ".join(sorted(hosts))
        raise SandboxError(f"no simulator plays {name!r} now", f"choose from {known} (a Deployment that is scaled to 0 plays nothing)")
    return hosts[name]


def _show_log(simulators: list[Admin], options: argparse.Namespace) -> None:
    since = audit.moment(options.since).timestamp() if options.since else 0.0
    records = [record for simulator in simulators for record in simulator.log(options.host, since, options.limit)]
    records = sorted(records, key=lambda record: float(record["started"]))[-options.limit :]
    if options.json:
        print(json.dumps(records, indent=1))
    else:
        _print_log(records)


def _act(simulators: list[Admin], options: argparse.Namespace) -> None:
    hosts = {host["name"]: simulator for simulator in simulators for host in simulator.hosts()}
    if getattr(options, "host", None):
        _host(hosts, options.host)
    match options.action:
        case "hosts":
            _print_hosts([host for simulator in simulators for host in simulator.hosts()])
        case "fault":
            hosts[options.host].set_fault(options.host, fault_of(options.kind, options.options))
        case "clear":
            for name in [options.host] if options.host else hosts:
                hosts[name].set_fault(name, None)
        case "counters":
            print(json.dumps({host: totals for simulator in simulators for host, totals in simulator.counters().items()}, indent=1))
        case "log":
            _show_log([_host(hosts, options.host)] if options.host else simulators, options)
        case "reset":
            for simulator in simulators:
                simulator.reset()


def run(box: Box, options: argparse.Namespace) -> int:
    """Do one action on the simulators of a sandbox."""
    if not box.launcher:
        raise SandboxError(f"sandbox {box.name} is not running", "sandbox/sandbox up")
    try:
        _act(_simulators(box), options)
    except UpstreamError as error:
        raise SandboxError(str(error), "see `sandbox/sandbox upstream fault --help`") from error
    except OSError as error:
        raise SandboxError(
            f"the simulator does not answer ({error})", "see `sandbox/sandbox status`; `up` waits until it is ready"
        ) from error
    return 0
