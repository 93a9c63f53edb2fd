# Copyright: Contributors to the homelab.llm collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module reaches the cluster: the documentation of `module_utils/_kubernetes/options.py`."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or several with V(:) between them, which are merged as kubectl does.
      - Without it the variable E(KUBECONFIG) is read, then C(~/.kube/config), then the service account of the pod the module runs in.
      - The Python package C(kubernetes) reads it and logs in, with whatever of it that package knows.
      - Can also be set with the environment variable E(K8S_AUTH_KUBECONFIG).
    type: path
  context:
    description:
      - Context of the kubeconfig to use instead of its current one.
      - Can also be set with the environment variable E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - Address of the API server, such as V(https://192.0.2.10:6443).
      - Without O(kubeconfig) no kubeconfig is read; with it, this is used in place of the address there.
      - Can also be set with the environment variable E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token to log in with.
      - Can also be set with the environment variable E(K8S_AUTH_API_KEY).
    type: str
  ca_cert:
    description:
      - File with the CA certificates that the API server's own must be signed by. The system's are trusted without it.
      - Can also be set with the environment variable E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether to check the API server's certificate. What the kubeconfig says, else V(true).
      - Can also be set with the environment variable E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  client_cert:
    description:
      - File with the certificate to log in with.
      - Can also be set with the environment variable E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - File with the key of O(client_cert).
      - Can also be set with the environment variable E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description:
      - HTTP proxy to reach the API server through, such as V(http://proxy.example:3128), or with the Python package PySocks a SOCKS one.
      - Without it, the kubeconfig's C(proxy-url) is used, then E(HTTPS_PROXY) unless E(NO_PROXY) names the server.
      - Can also be set with the environment variable E(K8S_AUTH_PROXY).
    type: str
  impersonate_user:
    description:
      - User to act as.
      - Can also be set with the environment variable E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description:
      - Groups to act as a member of, with O(impersonate_user).
      - Can also be set with the environment variable E(K8S_AUTH_IMPERSONATE_GROUPS).
    type: list
    elements: str
requirements:
  - Python 3.11 or newer where the module runs.
  - The Python package C(kubernetes) 37 or newer there.
"""
