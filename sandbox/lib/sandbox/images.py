"""The container images of the sandbox, built by buildah from the folders below `images/`."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox import programs
from sandbox.cache import build_once, files_below, hash_of, locked
from sandbox.errors import SandboxError
from sandbox.paths import SOURCE, cache_root
from sandbox.progress import step
from sandbox.run import last_line, logged

#: A fixed time stamp for all files (2026-01-01), so that an image depends on its inputs alone.
EPOCH = "1767225600"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Image:
    """One line of images.toml."""

    name: str
    reference: str
    base: bool = False
    program: str = ""
    context: tuple[str, ...] = ()
    optional: bool = False

    @property
    def folder(self) -> Path:
        return SOURCE / "images" / self.name

    @property
    def parents(self) -> list[Image]:
        """The images it is made from, by the FROM lines of its Containerfile."""
        references = re.findall(r"^FROM\s+(\S+)", (self.folder / "Containerfile").read_text(), re.MULTILINE)
        return [image for image in images().values() if image.reference in references]

    @property
    def hash(self) -> str:
        """The hash of all inputs: its folder, its context, its program and its parents."""
        sources = files_below(self.folder)
        for part in self.context:
            sources += files_below(SOURCE / part)
        program = programs.PROGRAMS[self.program].result.name if self.program else ""
        return hash_of(sources, self.reference, program, *(parent.hash for parent in self.parents))

    @property
    def stored_reference(self) -> str:
        """Its name in buildah's storage. That of a base image has its hash: checkouts with different ones share the storage."""
        return f"{self.reference.rpartition(':')[0]}:{self.hash}" if self.base else self.reference

    @property
    def archive(self) -> Path:
        """The OCI archive that is loaded into a cluster; for a base image the mark that it is in buildah's storage."""
        return cache_root() / "images" / f"{self.name}-{self.hash}{'.base' if self.base else '.oci.tar'}"


@cache
def images() -> dict[str, Image]:
    """Return the images of images.toml by name, in build order."""
    table = tomllib.loads((SOURCE / "images" / "images.toml").read_text())
    return {
        name: Image(
            name,
            line["reference"],
            line.get("base", False),
            line.get("program", ""),
            tuple(line.get("context", ())),
            line.get("optional", False),
        )
        for name, line in table.items()
    }


def loaded_images() -> list[Image]:
    """Return the images that every sandbox has."""
    return [image for image in images().values() if not image.base and not image.optional]


def named(name: str) -> Image:
    """Return the image with this name in images.toml."""
    try:
        return images()[name]
    except KeyError:
        raise SandboxError(
            f"there is no image {name!r}", f"choose from {', '.join(images())}, or add a folder and a line to images/images.toml"
        ) from None


def missing() -> list[Image]:
    """Return the images that have yet to be built."""
    return [image for image in loaded_images() if not image.archive.exists()]


def _buildah(*words: str | Path) -> list[str | Path]:
    # Own storage: the user's containers and ours do not meet, and one folder holds everything.
    storage = cache_root() / "storage"
    return ["buildah", "--root", storage, "--runroot", storage / "run", "--storage-driver", "overlay", *words]


def _is_stored(reference: str) -> bool:
    command = [str(word) for word in _buildah("inspect", "--type", "image", reference)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _fill_context(image: Image, context: Path, log: Path) -> None:
    for path in image.folder.iterdir():
        if path.is_file():
            shutil.copy2(path, context / path.name)
    for part in image.context:
        shutil.copytree(SOURCE / part, context / part, ignore=shutil.ignore_patterns("__pycache__"))
    if image.program:
        shutil.copy2(programs.PROGRAMS[image.program].binary, context / image.program)
    prepare = context / "prepare"
    if prepare.exists():
        logged([prepare, context], log, env={"SOURCE_DATE_EPOCH": EPOCH})


def build(image: Image) -> Path:
    """Return the image's archive, building it and its parents when their inputs changed."""
    if image.archive.exists() and not (image.base and not _is_stored(image.stored_reference)):
        return image.archive
    if image.base:
        image.archive.unlink(missing_ok=True)
    for parent in image.parents:
        build(parent)

    def make(place: Path) -> None:
        log = cache_root() / "log" / f"image-{image.name}.log"
        temporary = cache_root() / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        with step(f"Building image {image.reference}", lambda: last_line(log)), tempfile.TemporaryDirectory(dir=temporary) as context:
            _fill_context(image, Path(context), log)
            parents = [f"--build-context={parent.reference}=container-image://{parent.stored_reference}" for parent in image.parents]
            secret = ["--secret", f"id=ca,src={CA_BUNDLE}"] if CA_BUNDLE.exists() else []
            # chroot isolation needs no runtime of its own; --network host because the package registries are reached from there.
            options = ["--pull-never", "--layers=false", "--isolation", "chroot", "--network", "host", "--timestamp", EPOCH]
            logged(
                _buildah("bud", *options, *secret, *parents, "--tag", image.stored_reference, context),
                log,
                env={"TMPDIR": str(temporary), "SOURCE_DATE_EPOCH": EPOCH},
            )
            if image.base:
                place.write_text(image.stored_reference)
            else:
                # Uncompressed: gzip took longer than the build, and the archive never leaves this machine.
                logged(
                    _buildah("push", "--quiet", "--disable-compression", image.reference, f"oci-archive:{place}:{image.reference}"),
                    log.with_suffix(".push.log"),
                    env={"TMPDIR": str(temporary)},
                )

    image.archive.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache_root() / "storage.lock"):  # tags in buildah's storage are shared by all checkouts
        build_once(image.archive, make)
    return image.archive
