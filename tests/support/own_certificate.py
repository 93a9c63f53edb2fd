# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that signs itself, for servers on the loopback device."""

from __future__ import annotations

import subprocess
from pathlib import Path


def own_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate and its key in a folder; `name` is a subjectAltName such as "DNS:localhost" or "IP:127.0.0.1"."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=sandbox"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run(["openssl", "req", *kind, "-addext", f"subjectAltName={name}", *files], check=True, capture_output=True)
    return certificate, key
