# SPDX-License-Identifier: Apache-2.0
"""Container images made of this machine's own files: no registry is needed."""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

_DIST = "/usr/lib/python3/dist-packages"
_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def write_image(path, name, root, command, env=(), user=""):
    """The folder `root` as an image of one layer, as `docker save` writes it:
    for `ctr images import`. `user`: who its program is, root by default."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(root, arcname=".", filter=_owned_by_root)
    layer = layer.getvalue()
    config = json.dumps({
        "architecture": os.uname().machine.replace("x86_64", "amd64")
        .replace("aarch64", "arm64"), "os": "linux",
        "config": {"Entrypoint": list(command), "User": user,
                   "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                           *env]},
        "rootfs": {"type": "layers", "diff_ids": [
            "sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created_by": "test"}]}).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{digest}.json", "RepoTags": [name],
                            "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for part, data in (("layer.tar", layer), (f"{digest}.json", config),
                           ("manifest.json", manifest)):
            info = tarfile.TarInfo(part)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _owned_by_root(info):
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    return info


def _libraries(paths):
    """What the dynamic linker would load for these."""
    said = subprocess.run(["ldd", *paths], text=True, check=False,
                          capture_output=True).stdout
    return set(re.findall(r"(/\S+) \(0x", said))


class Root:
    """A root file system in the making, at `folder`."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("etc", "tmp", "usr/bin", "usr/lib", "usr/lib64",
                     "usr/sbin", "var/tmp", "root"):
            os.makedirs(f"{folder}/{name}")
        # As on Debian, so that a library is found by either name.
        for name in ("bin", "lib", "lib64", "sbin"):
            os.symlink(f"usr/{name}", f"{folder}/{name}")
        os.chmod(f"{folder}/tmp", 0o1777)
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                   "app:x:1000:1000:app:/tmp:/bin/sh\n")
        self.write("etc/group", "root:x:0:\napp:x:1000:\n")
        self.write("etc/nsswitch.conf", "hosts: files dns\n")

    def write(self, path, text):
        with open(f"{self.folder}/{path}", "w", encoding="utf-8") as file:
            file.write(text)

    def add(self, source, target=None):
        """A file, to the same place unless told."""
        at = self.folder + os.path.realpath(os.path.dirname(
            target or source)) + "/" + os.path.basename(target or source)
        if not os.path.lexists(at):
            os.makedirs(os.path.dirname(at), exist_ok=True)
            shutil.copy2(os.path.realpath(source), at)

    def add_programs(self, *names):
        """Each with the libraries it needs."""
        paths = [shutil.which(name) or name for name in names]
        for path in paths:
            self.add(path)
        for library in _libraries(paths):
            self.add(library)


def shell_root(folder):
    """A busybox shell with curl and a few more."""
    root = Root(folder)
    root.add("/bin/busybox")
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, text=True,
                             capture_output=True).stdout.split()
    for applet in applets:
        if applet not in ("busybox", "ip", "curl"):
            os.symlink("busybox", f"{folder}/usr/bin/{applet}")
    root.add_programs("curl", "ip", "ss")


def httpbin_root(folder):
    """httpbin under gunicorn, as httpbin's own image has it; and Python's
    gRPC."""
    root = Root(folder)
    root.add_programs("/usr/bin/python3")
    loaded = subprocess.run(
        ["/usr/bin/python3", "-c", "import gunicorn.app.wsgiapp, "
         "gunicorn.workers.sync, grpc, httpbin, sys, encodings.idna\n"
         "[print(m.__file__) for m in list(sys.modules.values()) "
         "if getattr(m, '__file__', None)]"],
        check=True, text=True, capture_output=True).stdout.split()
    standard = os.path.dirname(os.__file__)
    tops = {path[len(_DIST) + 1:].split("/")[0] for path in loaded
            if path.startswith(_DIST)}
    # Names of a distribution are asked for by its metadata.
    tops |= {name for name in os.listdir(_DIST) if name.endswith("-info")
             and name.split("-")[0].replace("_", "-").lower() in
             {top.split(".")[0].replace("_", "-").lower() for top in tops}}
    ignore = shutil.ignore_patterns("__pycache__", "test", "tests", "idlelib",
                                    "lib2to3", "turtledemo", "ensurepip",
                                    "config-*", "tkinter")
    shutil.copytree(standard, folder + standard, ignore=ignore)
    for top in tops:
        source, target = f"{_DIST}/{top}", f"{folder}{_DIST}/{top}"
        if os.path.isdir(source):
            shutil.copytree(source, target, ignore=ignore)
        else:
            root.add(source)
    extensions = [path for path in loaded if path.endswith(".so")]
    extensions += [f"{standard}/lib-dynload/{name}" for name in
                   os.listdir(f"{standard}/lib-dynload")
                   if re.match(r"_(ssl|hashlib|asyncio|ctypes)\.", name)]
    for library in _libraries(extensions):
        root.add(library)
    root.add("/bin/busybox")
    os.symlink("busybox", f"{folder}/usr/bin/sh")


def make_images(folder, programs, binary, pause):
    """Writes NAME.tar for each image and returns their paths. nodeward's is
    of the files that its Dockerfile takes."""
    os.makedirs(folder)
    made = []

    def make(name, fill, *command, env=()):
        root = f"{folder}/{name}"
        fill(root)
        made.append(f"{folder}/{name}.tar")
        write_image(made[-1], f"localhost/{name}:1", root, command, env)
        shutil.rmtree(root)

    def just(program, name):
        def fill(root):
            os.makedirs(root)
            shutil.copy2(program, f"{root}/{name}")
        return fill

    def nodeward(root):
        subprocess.run([f"{_ROOT}/daemonset/rootfs", binary, root],
                       check=True, stdout=sys.stderr)
    make("pause", just(pause, "pause"), "/pause")
    make("coredns", just(f"{programs}/coredns", "coredns"), "/coredns")
    make("nodeward", nodeward, "/usr/bin/nodeward")
    make("shell", shell_root, "/bin/sh", "-c", "sleep 100000")
    make("httpbin", httpbin_root, "/usr/bin/python3", "-m", "gunicorn",
         "--worker-tmp-dir=/dev/shm", "-b", "0.0.0.0:80", "httpbin:app",
         env=("PYTHONDONTWRITEBYTECODE=1",))
    return made
