"""The command line: one function per verb."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox import audit, engine, load, prune, real_ollama, upstream
from sandbox.box import Box, Ports, boxes, default_name
from sandbox.errors import SandboxError
from sandbox.forward import forward
from sandbox.paths import cache_root
from sandbox.preflight import require_root
from sandbox.programs import kubectl
from sandbox.progress import say
from sandbox.status import as_text, status
from sandbox.up import down, up

DESCRIPTION = """\
A throwaway real Kubernetes on this machine, in a network of its own with no way out, with scripted model servers behind production host
names: vLLM and Ollama as Services of namespace `ml`, api.openai.com, api.anthropic.com, ollama.com and others with TLS.

  sandbox/sandbox up                          build what is missing (cold: under 20 minutes on two cores), start, wait until ready
  eval "$(sandbox/sandbox env)"               KUBECONFIG, the CA, and the test keys for this shell
  sandbox/sandbox kubectl get pods -A         as sandbox-admin
  sandbox/sandbox forward ml/litellm:4000     a Service on a loopback port of this host
  sandbox/sandbox upstream fault vllm-api status=500
  sandbox/sandbox audit --since 5m            who wrote what
  sandbox/sandbox down                        end it and everything it started
"""
EPILOG = """\
Each checkout has a sandbox of its own; --name (or SANDBOX_NAME) chooses another, and several run side by side.
Everything lies in SANDBOX_CACHE, by default ~/.cache/homelab-llm-sandbox. Certificates and ports outlive `down`.
"""


def _up(box: Box, options: argparse.Namespace) -> int:
    up(box, Ports(options.api_port, options.http_port, options.https_port), replace=options.replace)
    if options.real_ollama:
        real_ollama.put(box)
    if options.verbose:
        print(as_text(status(box)))
    else:
        print(f"kubeconfig: {box.kubeconfig}")
    return 0


def _down(box: Box, options: argparse.Namespace) -> int:
    chosen = [other for other in boxes() if other.state or other.left_over] if options.all else [box]
    for one in chosen:
        say(f"Sandbox {one.name} is down" if down(one, force=options.force) else f"Sandbox {one.name} was not up")
    return 0


def _status(box: Box, options: argparse.Namespace) -> int:
    found = status(box)
    print(json.dumps(found, indent=1) if options.json else as_text(found))
    return 0 if found["state"] == "ready" else 1


def _list(_box: Box, _options: argparse.Namespace) -> int:
    for one in boxes():
        state = "up" if one.ready else "starting" if one.launcher else "killed" if one.left_over else "down"
        print(f"{one.name:<32} {state:<9} {one.owner or ''}")
    return 0


def _kubeconfig(box: Box, options: argparse.Namespace) -> int:
    if not box.kubeconfig.exists():
        raise SandboxError(f"sandbox {box.name} has no kubeconfig yet", "sandbox/sandbox up")
    print(box.kubeconfig.read_text() if options.content else box.kubeconfig)
    return 0


def _env(box: Box, _options: argparse.Namespace) -> int:
    if not box.ready:
        raise SandboxError(f"sandbox {box.name} is not up", "sandbox/sandbox up")
    variables = {
        "KUBECONFIG": str(box.kubeconfig),
        "SANDBOX_NAME": box.name,
        "SANDBOX_CA_FILE": str(box.web_ca),
        "SANDBOX_WEB_TLS_PORT": str(box.state["ports"]["https"]),
        **box.keys,
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _command(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def _exec(box: Box, options: argparse.Namespace) -> int:
    command = _command(options.command)
    if not command:
        raise SandboxError("exec needs a command", "as in `sandbox/sandbox exec -- curl http://litellm.ml.svc:4000/health/liveliness`")
    return subprocess.run(
        [*box.enter(), f"--wd={Path.cwd()}", *command], check=False, env={**os.environ, "KUBECONFIG": str(box.kubeconfig)}
    ).returncode


def _kubectl(box: Box, options: argparse.Namespace) -> int:
    if not box.launcher:
        raise SandboxError(f"sandbox {box.name} is not running", "sandbox/sandbox up")
    os.execv(kubectl(), ["kubectl", "--kubeconfig", str(box.kubeconfig), *_command(options.command)])  # noqa: S606  (no shell is the point)


def _load(box: Box, options: argparse.Namespace) -> int:
    for image in options.image:
        load.load(box, image)
    return 0


def _engine(box: Box, options: argparse.Namespace) -> int:
    command = _command(options.command)
    if not command:
        raise SandboxError("engine needs a command", "as in `sandbox/sandbox engine -- docker compose version`")
    with engine.running(cache_root() / "engines" / f"{box.name}-{os.getpid()}") as running:
        return engine.with_model(running, command)


def _forward(box: Box, options: argparse.Namespace) -> int:
    forward(box, options.service, options.port, detach=options.detach)
    return 0


def _audit(box: Box, options: argparse.Namespace) -> int:
    since = audit.moment(options.since) if options.since else None
    writes = [
        write
        for write in audit.read(box.audit_log, since)
        if (options.system or not audit.is_system(write.user)) and (options.dry_run or not write.dry_run)
    ]
    print(audit.as_json(writes) if options.json else audit.table(writes) if writes else "no writes")
    return 0


def _upstream(box: Box, options: argparse.Namespace) -> int:
    return upstream.run(box, options)


def _prune(_box: Box, _options: argparse.Namespace) -> int:
    prune.prune()
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = argparse.ArgumentParser("sandbox", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--name", default=default_name(), help="which sandbox (default: this checkout's own, %(default)s)")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Callable[[Box, argparse.Namespace], int], text: str, more: str = "") -> argparse.ArgumentParser:
        sub = verbs.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.\n{more}", formatter_class=argparse.RawDescriptionHelpFormatter
        )
        sub.set_defaults(run=run)
        return sub

    one = verb("up", _up, "build what is missing, start, wait until ready; with nothing to do it takes well under a second")
    for name in ("api", "http", "https"):
        one.add_argument(
            f"--{name}-port",
            type=int,
            default=0,
            metavar="PORT",
            help=f"loopback port for {name} (default: last time's, else any free one)",
        )
    one.add_argument("--replace", action="store_true", help="start anew, and empty, one that another version of this checkout started")
    one.add_argument(
        "--real-ollama", action="store_true", help="with a real Ollama and a tiny model in the place of the simulated one, until `down`"
    )
    one.add_argument("--verbose", action="store_true", help="print the status afterwards")
    one = verb("down", _down, "end it: no process, mount, control group or network device is left; builds and images stay cached")
    one.add_argument(
        "--all", action="store_true", help="every sandbox of this user that belongs to this checkout or to none (with --force: every one)"
    )
    one.add_argument("--force", action="store_true", help="also when it belongs to another checkout")
    one = verb("status", _status, "tell how it is; exit code 0 only when all is ready")
    one.add_argument("--json", action="store_true", help="for programs")
    verb("list", _list, "list the sandboxes of this user: name, state, checkout")
    one = verb("kubeconfig", _kubeconfig, "print the path of its kubeconfig, which works on this host and inside")
    one.add_argument("--content", action="store_true", help="print the kubeconfig itself")
    verb("env", _env, 'print what a shell needs to use it, for eval "$(sandbox/sandbox env)"')
    one = verb("exec", _exec, "run a command of this host inside its network and PID namespace")
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    one = verb("kubectl", _kubectl, "run kubectl on it")
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="ARGUMENT …")
    one = verb(
        "load",
        _load,
        "load images into it",
        "IMAGE is a name in images/images.toml, an archive file (OCI or docker), or what docker, podman or buildah has here.",
    )
    one.add_argument("image", nargs="+", metavar="IMAGE")
    one = verb(
        "engine",
        _engine,
        "run a command beside a container engine that lasts as long as it",
        "Docker with Compose, LiteLLM and Ollama in it, and a registry with a tiny model at $SANDBOX_MODEL; no cluster.",
    )
    one.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    one = verb("forward", _forward, "make a Service reachable on a loopback port of this host")
    one.add_argument("service", metavar="NAMESPACE/SERVICE[:PORT]")
    one.add_argument("--port", type=int, default=0, help="the port on this host (default: any free one)")
    one.add_argument("--detach", action="store_true", help="return at once; it ends with the sandbox, `status` shows it")
    one = verb("audit", _audit, "show who wrote what, from the API server's audit log: metadata only, never a body")
    one.add_argument("--since", metavar="WHEN", help="an age (90s, 5m, 2h), seconds since 1970, or ISO 8601")
    one.add_argument("--system", action="store_true", help="also what the cluster's own programs wrote")
    one.add_argument("--dry-run", action="store_true", help="also dry runs, which change nothing")
    one.add_argument("--json", action="store_true", help="for programs")
    one = verb("upstream", _upstream, "script the model servers: faults, counters, log")
    upstream.add_arguments(one)
    verb("prune", _prune, "remove builds, images and stores that neither this checkout nor a running sandbox uses")
    return top


def _separated(words: list[str]) -> list[str]:
    """Put `--` behind a verb that passes words on, so that `kubectl -n ml …` needs none: argparse would take -n for its own."""
    passing = ("kubectl", "exec", "engine")
    verb = next((place for place, word in enumerate(words) if word in passing and words[place - 1 : place] != ["--name"]), None)
    if verb is None or words[verb + 1 : verb + 2] in ([], ["--"], ["-h"], ["--help"]):
        return words
    return [*words[: verb + 1], "--", *words[verb + 1 :]]


def main() -> int:
    """Run one verb; an expected failure is one message and exit code 1, Ctrl-C is 130."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    options = parser().parse_args(_separated(sys.argv[1:]))
    try:
        require_root()
        code: int = options.run(Box(options.name), options)
        return code
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"sandbox: interrupted; what was built is kept in {cache_root()}, and the same command goes on from there", file=sys.stderr)
        return 130
