"""The container of the `docker` runtime: its image, what it may see, and what runs in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import RuntimeNotAvailableError
from runtime.up import say

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

REPOSITORY = "apache/apisix"
TAG = "3.18.0-debian"
IMAGE = f"{REPOSITORY}:{TAG}"
LABEL = "azure-ai-gateway.workdir"
# the image's own user
APISIX_USER = (636, 636)
HOME = "/gateway/home"
CONF = "/gateway/conf"
LUA_PATH = "/gateway/lua"
# APISIX's CLI takes the current folder as its home when it holds ./apisix/cli/apisix.lua
START = f"""\
set -e
cd {HOME}
mkdir conf logs
ln -s /usr/local/apisix/apisix apisix
ln -s /usr/local/apisix/deps deps
for name in config.yaml apisix.yaml debug.yaml; do ln -s {CONF}/$name conf/$name; done
cp /usr/local/apisix/conf/mime.types conf/mime.types
ln -s /dev/stdout logs/access.log
ln -s /dev/stderr logs/error.log
apisix init
exec openresty -p {HOME} -c {HOME}/conf/nginx.conf -g 'daemon off;'
"""
REMAKE = f"""\
cd {HOME} || exit 1
cp conf/nginx.conf conf/nginx.conf.kept
apisix init && openresty -p {HOME} -c {HOME}/conf/nginx.conf -t && exit 0
cp conf/nginx.conf.kept conf/nginx.conf
exit 1
"""


def need_image(client: DockerClient) -> None:
    """Pull the image when it is not here.

    Raises:
        RuntimeNotAvailableError: it is not here and cannot be pulled.
    """
    from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415 -- see docker_client

    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        say(f"pulling {IMAGE}")
        try:
            client.images.pull(REPOSITORY, tag=TAG)
        except (DockerException, OSError) as error:
            raise RuntimeNotAvailableError(
                f"image {IMAGE} is not here and cannot be pulled: {one_line(error)}"
            ) from None


def create(
    client: DockerClient, *, user: tuple[int, int], conf: Path, plugins: Path, workdir: Path
) -> Container:
    """Create the container that reads `conf` and `plugins`; it is not started."""
    from docker.types import Mount  # noqa: PLC0415 -- see docker_client

    uid, gid = user
    return client.containers.create(
        IMAGE,
        entrypoint=["/bin/sh", "-c"],
        command=[START],
        user=f"{uid}:{gid}",
        network_mode="host",
        mounts=[
            Mount(CONF, str(conf), type="bind", read_only=True),
            Mount(f"{LUA_PATH}/apisix", str(plugins), type="bind", read_only=True),
        ],
        read_only=True,
        tmpfs={HOME: f"uid={uid},gid={gid},mode=0700", "/tmp": ""},  # noqa: S108 -- its own
        labels={LABEL: str(workdir)},
        security_opt=["no-new-privileges"],
        stop_signal="SIGQUIT",
        detach=True,
    )


def remove_leftovers(client: DockerClient, workdir: Path) -> None:
    """Remove what a gateway that was killed left of this work directory.

    The caller has locked the directory: nobody else can be using what carries its name.
    """
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={workdir}"}
    for left in attempt(lambda: client.containers.list(all=True, filters=mine)) or []:
        attempt(lambda left=left: left.remove(force=True))


def is_rootless(client: DockerClient) -> bool:
    """Whether root in a container is the user who runs the engine."""
    info = attempt(client.info) or {}
    return any("name=rootless" in option for option in info.get("SecurityOptions") or [])


def attempt(ask: Any, *let_through: type[Exception]) -> Any:
    """Ask the engine; None when it does not answer or refuses, which the caller can bear."""
    from docker.errors import DockerException  # noqa: PLC0415 -- see docker_client

    try:
        return ask()
    except let_through:
        raise
    except (DockerException, OSError):
        return None


def one_line(error: Exception) -> str:
    """Return what an exception of the SDK says, in one line."""
    text = str(getattr(error, "explanation", None) or error)
    return " ".join(text.split())
