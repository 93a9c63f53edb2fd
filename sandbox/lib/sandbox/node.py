"""The first process inside the sandbox's namespaces: sets up its network and mounts, starts the cluster's programs and keeps them running.

Runs as `python3 -m sandbox.node BOX`, as process 1 of a PID namespace: when it ends, the kernel ends everything else.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import cgroups
from sandbox.mounts import bind, mount
from sandbox.pki import NODE_ADDRESS
from sandbox.run import output

POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
RESTART_SECONDS = 1.0
SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


@dataclass
class Component:
    """One program of the node and how often it had to be started again."""

    name: str
    command: list[str]
    needs_api: bool = False
    inherited: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = -1
    due: float = field(default=0.0)


def set_up_network() -> None:
    """Give the node its address. There is no way out: no device of the host is in this namespace, and the default route refuses."""
    commands = [
        "ip link set lo up",
        "ip link add node0 type bridge",  # a bridge, because some kernels have no dummy device
        f"ip addr add {NODE_ADDRESS}/24 dev node0",
        "ip link set node0 up",
        f"ip route add {SERVICE_NETWORK} dev node0",  # kube-proxy rewrites these addresses, but only once a route was found
        "ip route add unreachable default",
    ]
    for command in commands:
        output(command.split())
    for name, value in {
        "net/ipv4/ip_forward": "1",
        "net/bridge/bridge-nf-call-iptables": "1",
        "net/ipv4/conf/all/route_localnet": "1",
    }.items():
        Path("/proc/sys", name).write_text(value)


def set_up_mounts(box: Path) -> None:
    """Give the node its own /run, /var/lib, /var/log and name resolution; the host sees none of it."""
    output(["mount", "--make-rprivate", "/"])
    cgroups.remount()
    mount("tmpfs", Path("/run"), "tmpfs", options="mode=755")
    Path("/run/lock").mkdir()
    for name in ("lib", "log"):
        folder = box / "var" / name
        folder.mkdir(parents=True, exist_ok=True)
        bind(folder, Path("/var") / name)
    own = {
        "resolv.conf": f"nameserver {DNS_ADDRESS}\nsearch svc.cluster.local cluster.local\n",
        "hosts": f"127.0.0.1 localhost\n{NODE_ADDRESS} sandbox\n",
        "hostname": "sandbox\n",
    }
    for name, text in own.items():
        Path("/run", name).write_text(text)
        bind(Path("/run", name), Path("/etc", name).resolve())
    output(["hostname", "sandbox"])


def write_configs(box: Path, pause_image: str) -> None:
    """Write the configuration of containerd, its network plugin and the kubelet."""
    run = Path("/run/sandbox")
    (run / "cni").mkdir(parents=True)
    network = {
        "cniVersion": "0.4.0",
        "name": "sandbox",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni/ipam",
                    "ranges": [[{"subnet": POD_NETWORK}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    (run / "cni" / "10-bridge.conflist").write_text(json.dumps(network))
    (run / "containerd.toml").write_text(f"""
version = 2
root = "{box}/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  disable_apparmor = true
  restrict_oom_score_adj = true  # lowering it is forbidden in a container
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{run}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
""")
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "authentication": {
            "x509": {"clientCAFile": f"{box}/pki/cluster-ca.crt"},
            "webhook": {"enabled": True},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "tlsCertFile": f"{box}/pki/kubelet.crt",
        "tlsPrivateKeyFile": f"{box}/pki/kubelet.key",
        # No registry is in reach: an image that is collected cannot come back.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "enforceNodeAllocatable": [],
        "resolvConf": "/etc/resolv.conf",
    }
    (run / "kubelet.json").write_text(json.dumps(kubelet))


def components(box: Path, config: dict[str, Any]) -> list[Component]:
    """Return the node's programs, in the order they are started."""
    programs, pki, run, port = Path(config["programs"]), box / "pki", Path("/run/sandbox"), config["port"]

    def program(name: str, *flags: str, needs_api: bool = True) -> Component:
        return Component(name, [str(programs / name), *flags], needs_api)

    def kubeconfig(name: str) -> str:
        return f"--kubeconfig={box}/kubeconfigs/{name}"

    relays = [word for fd, target in config["relays"].items() for word in ("--relay", f"{fd}={target}")]
    return [
        Component("containerd", ["containerd", "--config", f"{run}/containerd.toml"]),
        program(
            "etcd",
            "--data-dir=/run/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            needs_api=False,
        ),
        program(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--secure-port={port}",
            f"--advertise-address={NODE_ADDRESS}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--client-ca-file={pki}/cluster-ca.crt",
            f"--service-account-key-file={pki}/service-account.pub",
            f"--service-account-signing-key-file={pki}/service-account.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={pki}/kubelet-client.crt",
            f"--kubelet-client-key={pki}/kubelet-client.key",
            f"--kubelet-certificate-authority={pki}/cluster-ca.crt",
            "--kubelet-preferred-address-types=InternalIP",  # else `kubectl logs` looks the node's name up
            "--allow-privileged=true",
            f"--audit-policy-file={box}/audit-policy.yaml",
            f"--audit-log-path={box}/log/audit.jsonl",
            "--audit-log-maxsize=200",
            "--audit-log-maxbackup=1",
            needs_api=False,
        ),
        program(
            "kube-controller-manager",
            kubeconfig("controller-manager"),
            f"--service-account-private-key-file={pki}/service-account.key",
            f"--root-ca-file={pki}/cluster-ca.crt",
            "--use-service-account-credentials",
            "--leader-elect=false",
        ),
        program("kube-scheduler", kubeconfig("scheduler"), "--leader-elect=false"),
        program(
            "kubelet",
            kubeconfig("kubelet"),
            f"--config={run}/kubelet.json",
            "--hostname-override=sandbox",
            f"--node-ip={NODE_ADDRESS}",
        ),
        program(
            "kube-proxy",
            kubeconfig("proxy"),
            "--proxy-mode=iptables",
            f"--cluster-cidr={POD_NETWORK}",
            "--hostname-override=sandbox",
            "--conntrack-max-per-core=0",
        ),
        program("storage-provisioner", kubeconfig("manager"), f"--root={box}/volumes"),
        Component("relay", [sys.executable, "-m", "sandbox.relay", *relays], inherited=tuple(int(fd) for fd in config["relays"])),
    ]


def api_is_ready(port: int) -> Callable[[], bool]:
    """Return a check that the API server serves and containerd listens."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # health of our own process on loopback

    def check() -> bool:
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=context, timeout=2) as answer:
                return answer.status == 200 and CONTAINERD_SOCKET.exists()
        except OSError:
            return False

    return check


class Supervisor:
    """Starts components, reaps every process that ends in the namespace, and starts again what should run."""

    def __init__(self, box: Path, wanted: list[Component], api_ready: Callable[[], bool]) -> None:
        self.box, self.wanted, self.api_ready = box, wanted, api_ready
        self.api_was_ready = False

    def start(self, component: Component) -> None:
        with (self.box / "log" / f"{component.name}.log").open("ab") as log:
            component.process = subprocess.Popen(
                component.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=component.inherited,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS),  # a child inherits what we block
            )
        component.started = time.time()
        component.restarts += 1
        self.report()

    def report(self) -> None:
        """Write what runs to a file, for `sandbox status`."""
        state = {
            component.name: {
                "pid": component.process.pid if component.process else None,
                "started": component.started,
                "restarts": max(0, component.restarts),
            }
            for component in self.wanted
        }
        partial = self.box / "components.json.partial"
        partial.write_text(json.dumps(state))
        partial.rename(self.box / "components.json")

    def reap(self) -> None:
        """Collect ended processes, ours and orphans alike: as process 1 we are every orphan's parent."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for component in self.wanted:
                if component.process and component.process.pid == pid:
                    print(f"{component.name} ended ({os.waitstatus_to_exitcode(status)}); starting it again", flush=True)
                    component.process, component.due = None, time.monotonic() + RESTART_SECONDS
                    self.report()

    def run(self) -> None:
        """Keep everything running, for ever."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        while True:
            self.api_was_ready = self.api_was_ready or self.api_ready()
            for component in self.wanted:
                if component.process is None and time.monotonic() >= component.due and (self.api_was_ready or not component.needs_api):
                    self.start(component)
            received = signal.sigtimedwait(SIGNALS, 0.5 if self.api_was_ready else 0.05)
            if received and received.si_signo != signal.SIGCHLD:
                return
            self.reap()


def main(box: Path) -> None:
    """Run the node of the sandbox whose state is in `box`."""
    config = json.loads((box / "node.json").read_text())
    set_up_mounts(box)
    set_up_network()
    write_configs(box, config["pause_image"])
    Supervisor(box, components(box, config), api_is_ready(config["port"])).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
