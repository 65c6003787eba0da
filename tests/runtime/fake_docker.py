"""A container engine that a test scripts: what the `docker` SDK's client would do.

`Client` starts nothing. `LocalClient` runs what would run in the container for real, in a root of
its own made from the local APISIX: it needs root and APISIX_HOME.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

from docker.errors import APIError, ImageNotFound, NotFound

PATH = "/usr/local/bin:/usr/local/openresty/bin:/usr/bin:/bin"
# the image's layout, made of links to the local tree; then what the caller mounts
ROOT = r"""
set -e
R=$1; H=$2; mount -t tmpfs root $R; mkdir $R/tmp
mount -t tmpfs tmp $R/tmp
for d in bin sbin lib lib64 usr etc dev proc sys opt; do
    if [ -L /$d ]; then cp -P /$d $R/$d; continue; fi
    [ ! -d /$d ] || { mkdir $R/$d; mount --rbind /$d $R/$d; }
done
mount -t tmpfs local $R/usr/local
mkdir -p $R/usr/local/apisix/conf $R/usr/local/bin
ln -s $H/apisix $R/usr/local/apisix/apisix
ln -s $H/deps $R/usr/local/apisix/deps
cp $H/openresty/nginx/conf/mime.types $R/usr/local/apisix/conf/
ln -s $H/openresty $R/usr/local/openresty
ln -s $H/bin/apisix $R/usr/local/bin/apisix
mkdir -p $R/gateway/home
mount -t tmpfs -o "$3" home $R/gateway/home
user=$4; script=$5; shift 5
for pair in "$@"; do
    mkdir -p $R${pair#*=}; mount --bind ${pair%%=*} $R${pair#*=}
    mount -o remount,ro,bind $R${pair#*=}
done
mount -o remount,ro,bind $R
exec env -i PATH="$PATH" /usr/sbin/chroot --userspec=$user $R /bin/sh -c "$script"
"""


class Container:
    """One container; a test sets its state and output."""

    def __init__(self, client, image, options):
        self.client = client
        self.image = image
        self.options = options
        self.labels = options["labels"]
        self.attrs = {"State": {"Status": "created", "ExitCode": 0, "Pid": 0}}
        self.signals = []
        self.commands = []
        self.exec_result = SimpleNamespace(exit_code=0, output=b"")
        self._lines = []
        self._more = threading.Condition()

    def start(self):
        if self.client.start_error:
            raise self.client.start_error
        self.attrs["State"]["Status"] = "running"
        self.say(*self.client.output)
        if self.client.exit_code is not None:
            self.end(self.client.exit_code)

    def say(self, *lines):
        with self._more:
            self._lines += lines
            self._more.notify_all()

    def end(self, code):
        with self._more:
            self.attrs["State"].update(Status="exited", ExitCode=code)
            self._more.notify_all()

    def reload(self):
        if self not in self.client.alive:
            raise NotFound("no such container")

    def logs(self, **_):
        while True:
            with self._more:
                self._more.wait_for(lambda: self._lines or self._ended())
                if not self._lines:
                    return
                line = self._lines.pop(0)
            half = len(line) // 2
            yield line[:half].encode()
            yield line[half:].encode() + b"\n"

    def exec_run(self, command):
        self.commands.append(command)
        return self.exec_result

    def kill(self, signal):
        self.signals.append(signal)

    def remove(self, *, force):
        assert force
        if self not in self.client.alive:
            raise NotFound("no such container")
        self.client.alive.remove(self)
        self.end(self.attrs["State"]["ExitCode"])

    def _ended(self):
        return self.attrs["State"]["Status"] == "exited"


class Client:
    """The engine. `local_images` are there; `pull_error` is what a pull raises."""

    container_class = Container

    def __init__(self):
        self.local_images = {"apache/apisix:3.18.0-debian"}
        self.pull_error = None
        self.start_error = None
        self.output = []
        self.exit_code = None
        self.security = []
        self.alive = []
        self.images = SimpleNamespace(get=self._get_image, pull=self._pull)
        self.containers = SimpleNamespace(create=self._create, list=self._list)

    def info(self):
        return {"SecurityOptions": self.security}

    def _get_image(self, name):
        if name not in self.local_images:
            raise ImageNotFound("no such image")

    def _pull(self, repository, tag):
        if self.pull_error:
            raise self.pull_error
        self.local_images.add(f"{repository}:{tag}")

    def _create(self, image, **options):
        if image not in self.local_images:
            raise APIError("no such image")
        self.alive.append(self.container_class(self, image, options))
        return self.alive[-1]

    def _list(self, *, all, filters):  # noqa: A002 -- the SDK's name
        assert all
        name, _, value = filters["label"].partition("=")
        return [item for item in self.alive if item.labels.get(name) == value]


class LocalContainer(Container):
    """A process in a root of its own, as the container's user, with its mounts."""

    def start(self):
        home = os.environ["APISIX_HOME"]
        self._root = tempfile.mkdtemp(prefix="gw-root-")
        mounts = [f"{item['Source']}={item['Target']}" for item in self.options["mounts"]]
        assert all(item["ReadOnly"] for item in self.options["mounts"])
        self._user = [int(part) for part in self.options["user"].split(":")]
        read, write = os.pipe()
        # as a container engine does for the user of a container
        os.fchown(write, *self._user)
        self._process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", ROOT, "sh", self._root, home,
             self.options["tmpfs"]["/gateway/home"], self.options["user"],
             self.options["command"][0], *mounts],
            stdin=subprocess.DEVNULL, stdout=write, stderr=write, start_new_session=True,
            env={"PATH": PATH},
        )  # fmt: skip
        os.close(write)
        self._read = os.fdopen(read, "rb")
        self.attrs["State"].update(Status="running", Pid=self._process.pid)

    def reload(self):
        super().reload()
        code = self._process.poll()
        if code is not None:
            self.attrs["State"].update(Status="exited", ExitCode=code)

    def logs(self, **_):
        with self._read as stream:
            yield from stream

    def exec_run(self, command):
        user, group = self._user
        with tempfile.TemporaryFile() as output:
            os.fchown(output.fileno(), user, group)
            done = subprocess.run(
                ["nsenter", "-t", str(self._process.pid), "-m", "-r", "-S", str(user),
                 "-G", str(group), "env", "-i", f"PATH={PATH}", *command],
                stdout=output, stderr=output, check=False, timeout=60,
            )  # fmt: skip
            output.seek(0)
            return SimpleNamespace(exit_code=done.returncode, output=output.read())

    def kill(self, signal):
        self.signals.append(signal)
        self._process.send_signal(getattr(globals()["signal"], signal))

    def remove(self, *, force):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        # the mounts were seen by the process only, and went with it
        Path(self._root).rmdir()
        super().remove(force=force)


class LocalClient(Client):
    """The engine that runs LocalContainer."""

    container_class = LocalContainer
