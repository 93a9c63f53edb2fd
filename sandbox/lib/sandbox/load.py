"""Loading images into a running sandbox."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from sandbox import images
from sandbox.box import Box
from sandbox.errors import SandboxError
from sandbox.node import CONTAINERD_SOCKET
from sandbox.paths import cache_root
from sandbox.progress import step
from sandbox.run import output

#: How each program that may hold images on this host writes one to a file.
_EXPORTS = {
    "docker": ["docker", "save", "--output", "{file}", "{image}"],
    "podman": ["podman", "save", "--output", "{file}", "{image}"],
    "buildah": ["buildah", "push", "--quiet", "{image}", "docker-archive:{file}:{image}"],
}


def load(box: Box, image: str) -> None:
    """Load an image by its name in images.toml, as an archive file, or as a reference that a program of this host knows."""
    if image in images.images():
        with step(f"Loading {image}"):
            import_archive(box, images.build(images.named(image)))
        return
    if Path(image).is_file():
        with step(f"Loading {image}"):
            import_archive(box, Path(image).resolve())
        return
    temporary = cache_root() / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        file = Path(folder) / "image.tar"
        for program, words in _EXPORTS.items():
            if not shutil.which(program):
                continue
            command = [word.format(file=file, image=image) for word in words]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                with step(f"Loading {image} from {program}"):
                    import_archive(box, file)
                return
    raise SandboxError(
        f"{image!r} is no image of images.toml, no file, and neither docker, podman nor buildah has it here",
        f"choose from {', '.join(images.images())}, or give an OCI or docker archive",
    )


def import_archive(box: Box, archive: Path) -> None:
    """Import an archive into the running containerd."""
    output([*box.enter(), "ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import", archive])
