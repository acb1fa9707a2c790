# SPDX-License-Identifier: MIT
"""A root file system to install things in: the host's /usr, /etc and /var under writable layers in memory.

What is written is gone with the process, which must be root in a mount and PID namespace of its own
(tools.py starts it so). changes() tells exactly what differs from the host: nothing is left behind when it
is the same before an installation and after the removal.
"""
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

LAYERS = ("usr", "etc", "var")
LINKS = ("bin", "sbin", "lib", "lib64")
DEVICES = ("null", "zero", "full", "random", "urandom")
LAYER_MIB = 192
# What package tools note down for themselves: logs, caches, lists.
NOISE = ("/var/log/", "/var/cache/", "/var/lib/dpkg/status", "/var/lib/dpkg/triggers", "/var/lib/dpkg/lock",
         "/var/lib/dpkg/available", "/etc/ld.so.cache", "/etc/group-", "/etc/gshadow-", "/etc/.pwd.lock",
         "/var/lib/systemd/deb-systemd-helper", "/var/lib/dkms/mok.", "/proc", "/dev", "/sys", "/run", "/tmp")


def mount(*argv):
    subprocess.run(["mount", *map(str, argv)], check=True)


def digest(path):
    """What a file is, in one word."""
    st = path.lstat()
    if stat.S_ISLNK(st.st_mode):
        return f"-> {os.readlink(path)}"
    if stat.S_ISREG(st.st_mode):
        return f"{stat.S_IMODE(st.st_mode):o} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return "gone" if stat.S_ISCHR(st.st_mode) and st.st_rdev == 0 else f"{st.st_mode:o}"


class Root:
    """folder: where it may make one of its own. headers: a tree of kernel headers that is laid over /usr; release: the one kernel that is there."""

    def __init__(self, folder, headers, release):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=folder))
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", self.dir)
        self.root = self.dir / "root"
        self.root.mkdir()
        for name in LAYERS:
            own = self.dir / name
            own.mkdir()
            mount("-t", "tmpfs", "-o", f"size={LAYER_MIB}m", "tmpfs", own)
            for part in ("upper", "work"):
                (own / part).mkdir()
                (own / part).chmod(0o755)
            (self.root / name).mkdir()
            lower = f"{headers}/usr:/usr" if name == "usr" else f"/{name}"
            mount("-t", "overlay", "-o",
                  f"lowerdir={lower},upperdir={own / 'upper'},workdir={own / 'work'}", "overlay",
                  self.root / name)
        for name in LINKS:
            (self.root / name).symlink_to(f"usr/{name}")
        for name in ("proc", "dev", "sys", "run", "root", "boot"):
            (self.root / name).mkdir()
        (self.root / "tmp").mkdir(mode=0o1777)
        mount("-t", "proc", "proc", self.root / "proc")
        for name in DEVICES:
            (self.root / "dev" / name).touch()
            mount("--bind", f"/dev/{name}", self.root / "dev" / name)
        (self.root / "dev/fd").symlink_to("/proc/self/fd")
        modules = self.root / "usr/lib/modules"
        mount("-t", "tmpfs", "tmpfs", modules)
        (modules / release).mkdir()
        (modules / release / "build").symlink_to(f"/usr/src/linux-headers-{release}")

        # Its index of manual pages is a cache, and slow.
        (self.root / "var/lib/man-db/auto-update").unlink(missing_ok=True)

    def run(self, *argv):
        """(status, output) of a command inside."""
        r = subprocess.run(["chroot", self.root, *map(str, argv)], check=False, text=True,
                           errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=300, env={
                               "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                               "HOME": "/root", "LC_ALL": "C.UTF-8",
                               "DEBIAN_FRONTEND": "noninteractive"})
        return r.returncode, r.stdout

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def fill(self, layer):
        """Leaves no room in a layer; returns what gives it back."""
        ballast = self.dir / layer / "ballast"
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        return ballast.unlink

    def changes(self):
        """Path -> what it is, of all that differs from the host."""
        out = {}
        for name in LAYERS:
            upper = self.dir / name / "upper"
            for folder, dirs, files in os.walk(upper):
                for entry in dirs + files:
                    path = pathlib.Path(folder, entry)
                    inside = f"/{name}/{path.relative_to(upper)}"
                    if inside.startswith(NOISE) or "/__pycache__" in inside:
                        continue
                    same = pathlib.Path(inside)
                    if path.is_dir() and not path.is_symlink():
                        if not same.is_dir():
                            out[inside] = "dir"
                    elif not os.path.lexists(same) or digest(path) != digest(same):
                        out[inside] = digest(path)
        for path in (self.root / "usr/lib/modules").rglob("*"):
            out[f"/{path.relative_to(self.root)}"] = \
                "dir" if path.is_dir() and not path.is_symlink() else digest(path)
        return out

    def close(self):
        subprocess.run(["umount", "-R", "-l", self.dir], check=False)
        self.dir.rmdir()


def difference(before, after):
    """None, or what is not as it was."""
    lines = [f"{p}: {before.get(p, 'was not there')}, now {after.get(p, 'as on the host, or gone')}"
             for p in sorted(before.keys() | after.keys()) if before.get(p) != after.get(p)]
    return "\n".join(lines) if lines else None


def copy_tree(source, root, name):
    """A folder of the host, inside."""
    shutil.copytree(source, root.path(name), symlinks=True)
