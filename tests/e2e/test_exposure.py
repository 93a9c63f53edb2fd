# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways into LiteLLM and OpenClaw from outside the cluster, and from one to the other."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from openclaw_site import openclaw_site
from site_under_test import SANDBOX, Played, Site, fresh_site

pytestmark = pytest.mark.cluster

#: Plural of each kind, by the API group that serves it.
WAYS = {"ingresses": "networking.k8s.io/v1", "ingressroutes": "traefik.io/v1alpha1", "routes": "route.openshift.io/v1"}


@pytest.fixture(scope="module")
def site(core: client.CoreV1Api) -> Iterator[Site]:
    yield from fresh_site(core)


@pytest.fixture(scope="module")
def running(site: Site) -> Played:
    played = site.play("site", litellm_verify=False)
    assert played.code == 0, played.output
    return played


@pytest.fixture(scope="module")
def openshift(core: client.CoreV1Api) -> Iterator[None]:
    """A cluster that serves OpenShift's Route, for the tests from here on."""
    extensions = client.ApiextensionsV1Api(core.api_client)
    definition = yaml.safe_load(Path(__file__).with_name("openshift_route.yaml").read_text())
    name = definition["metadata"]["name"]
    with contextlib.suppress(client.exceptions.ApiException):  # one that a killed run left
        extensions.create_custom_resource_definition(definition)
    for _ in range(600):
        conditions = extensions.read_custom_resource_definition(name).status.conditions or []
        if any(each.type == "Established" and each.status == "True" for each in conditions):
            break
        time.sleep(0.1)
    yield
    extensions.delete_custom_resource_definition(name)
    # Half a minute, for the garbage collector asks which kinds there are that often, and before it knows this one no Route goes.
    for _ in range(240):
        if not any(each.metadata.name == name for each in extensions.list_custom_resource_definition().items):
            return
        time.sleep(0.5)
    pytest.fail(f"{name} is still being deleted after two minutes")


def ways_into(core: client.CoreV1Api, namespace: str) -> dict[str, Any]:
    """What there is in a namespace, by plural."""
    custom = client.CustomObjectsApi(core.api_client)
    found: dict[str, Any] = {}
    for plural, version in WAYS.items():
        with contextlib.suppress(client.exceptions.NotFoundException):  # a kind that is not served
            items = custom.list_namespaced_custom_object(*version.split("/"), namespace, plural)["items"]
            staying = [each for each in items if "deletionTimestamp" not in each["metadata"]]
            if staying:
                (found[plural],) = staying
    return found


@pytest.fixture
def ways_in(core: client.CoreV1Api, site: Site) -> Callable[[], dict[str, Any]]:
    return lambda: ways_into(core, site.namespace)


def expose(site: Site, how: str, **variables: Any) -> Played:
    return site.play("site", litellm_verify=False, litellm_exposure=how, **variables)


def asked_from_outside(site: Site, scheme: str, path: str = "/health/liveliness") -> str:
    """The status of a liveness, LiteLLM's, from this machine by its host name. Traefik takes a moment to know a new way."""
    addresses = json.loads(subprocess.run([*SANDBOX, "status", "--json"], capture_output=True, check=False).stdout)["addresses"]
    port = addresses["web_tls" if scheme == "https" else "web"].rpartition(":")[2]
    url = f"{scheme}://{site.namespace}.homelab.localhost:{port}{path}"
    command = ["curl", "--silent", "--cacert", os.environ["SANDBOX_CA_FILE"], "--output", "/dev/null", "--write-out", "%{http_code}", url]
    for _ in range(240):
        status = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        if status == "200":
            break
        time.sleep(0.25)
    return status


@pytest.mark.usefixtures("running")
def test_a_cluster_without_routes_says_so_before_anything_is_changed(site: Site, core: client.CoreV1Api, ways_in: Any) -> None:
    before = core.read_namespaced_config_map("litellm-config", site.namespace).metadata.resource_version
    refused = expose(site, "route", litellm_settings_extra={"litellm_settings": {"drop_params": True}})
    assert refused.code != 0
    assert "this cluster serves no Route of route.openshift.io/v1: it comes with OpenShift" in refused.output
    assert refused.recap["changed"] == 0
    assert core.read_namespaced_config_map("litellm-config", site.namespace).metadata.resource_version == before
    assert ways_in() == {}


@pytest.mark.usefixtures("running")
def test_what_the_cluster_refuses_of_it_is_told_before_anything_is_changed(site: Site) -> None:
    refused = expose(site, "ingress", litellm_host="Not A Host", litellm_settings_extra={"litellm_settings": {"drop_params": True}})
    assert "Not A Host" in refused.output
    assert (refused.code != 0, refused.recap["changed"]) == (True, 0)


@pytest.mark.usefixtures("running", "openshift")
def test_each_way_replaces_the_one_before(site: Site, ways_in: Any) -> None:
    host = f"{site.namespace}.homelab.localhost"
    for how, plural in (("ingress", "ingresses"), ("ingressroute", "ingressroutes"), ("route", "routes")):
        changed = expose(site, how, litellm_host=host)
        assert (changed.code, changed.recap["changed"]) == (0, 1), changed.output
        assert list(ways_in()) == [plural]
        again = expose(site, how, litellm_host=host)
        assert (again.code, again.recap["changed"]) == (0, 0), again.output
        if how != "route":
            assert asked_from_outside(site, "http" if how == "ingress" else "https") == "200"
    assert (expose(site, "none").recap["changed"], ways_in()) == (1, {})


@pytest.mark.usefixtures("running", "openshift")
def test_a_route_ends_tls_and_leaves_the_host_to_openshift(site: Site, ways_in: Any) -> None:
    assert expose(site, "route", litellm_host="").code == 0
    route = ways_in()["routes"]
    assert route["spec"] == {
        "to": {"kind": "Service", "name": "litellm", "weight": 100},
        "port": {"targetPort": "http"},
        "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
        "wildcardPolicy": "None",
    }
    assert route["metadata"]["annotations"]["haproxy.router.openshift.io/timeout"] == "620s"
    expose(site, "route", litellm_host="llm.example.com", litellm_tls_secret="llm-tls")
    spec = ways_in()["routes"]["spec"]
    assert (spec["host"], spec["tls"]["externalCertificate"]) == ("llm.example.com", {"name": "llm-tls"})
    expose(site, "route", litellm_host="llm.example.com", litellm_route_termination="none")
    assert "tls" not in ways_in()["routes"]["spec"]
    assert expose(site, "none").code == 0


@pytest.mark.usefixtures("openshift")
def test_openclaw_is_reached_by_an_ingress_and_moves_to_a_route(core: client.CoreV1Api, tmp_path: Path) -> None:
    with contextlib.closing(openclaw_site(core, tmp_path)) as sites:
        claw = next(sites)
        own = {
            "openclaw_host": f"{claw.namespace}.homelab.localhost",
            "openclaw_verify": False,
            "openclaw_trusted_proxies": ["10.244.0.2/31"],
        }
        made = claw.play(openclaw_exposure="ingress", **own)
        assert made.code == 0, made.output
        assert list(ways_into(core, claw.namespace)) == ["ingresses"]
        assert asked_from_outside(claw, "http", "/healthz") == "200"
        moved = claw.play(openclaw_exposure="route", **own)
        assert moved.code == 0, moved.output
        (route,) = ways_into(core, claw.namespace).values()
        assert (route["kind"], route["spec"]["host"]) == ("Route", own["openclaw_host"])
        assert route["spec"]["tls"] == {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
        # Whoever comes that way comes by https, and the page is told so.
        config = core.read_namespaced_config_map("openclaw-config", claw.namespace).data
        assert f"https://{own['openclaw_host']}" in "".join(config.values())
        again = claw.play(openclaw_exposure="route", **own)
        assert (again.code, again.recap["changed"]) == (0, 0), again.output
