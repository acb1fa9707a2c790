# SPDX-License-Identifier: MIT
"""What a run owns, its processes and its temporary folder, and how all of it goes away.

Three nets, one below the other: close() ends everything in order; the kernel kills each child when
the rig itself is killed (PR_SET_PDEATHSIG); and a tiny shell, in a session of its own, removes the
folder when the pipe from the rig closes, whatever closed it.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile

from .errors import RigError

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

# The emulator may still be writing when the pipe closes, so the removal is tried a few times.
WATCHER = """trap '' INT TERM HUP
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf -- "$1" 2>/dev/null && exit
	sleep 0.2
done
"""
ENDS_RUN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the rig to end."""

    def __init__(self, signum):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def catch_signals():
    """From now on SIGINT, SIGTERM and SIGHUP unwind the stack, so that every scope is closed."""
    def handler(signum, _frame):
        raise Interrupted(signum)
    for signum in ENDS_RUN:
        signal.signal(signum, handler)


class held_signals:
    """While inside, the signals that end a run wait."""

    def __enter__(self):
        self.old = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS_RUN)

    def __exit__(self, *_):
        signal.pthread_sigmask(signal.SIG_SETMASK, self.old)


class Scope:
    """A temporary folder and the processes of one run."""

    def __init__(self):
        self.children = []
        with held_signals():
            self.dir = tempfile.mkdtemp(prefix="ternrun-")
            try:
                self.watcher = subprocess.Popen(
                    ["/bin/sh", "-c", WATCHER, "ternrun-watcher", self.dir],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    start_new_session=True, cwd="/")
            except BaseException:
                shutil.rmtree(self.dir, ignore_errors=True)
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, name):
        return os.path.join(self.dir, name)

    def spawn(self, argv, namespace=None, **kw):
        """Starts a process that dies with the rig; call from the main thread only, for the kernel
        sends the death signal when the *thread* that forked ends (prctl(2))."""
        me = os.getpid()

        def in_child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != me:
                os._exit(127)
            if namespace:
                namespace.enter()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS_RUN)

        kw.setdefault("stdin", subprocess.DEVNULL)
        with held_signals():
            try:
                child = subprocess.Popen([str(a) for a in argv], preexec_fn=in_child,
                                         start_new_session=True, cwd=self.dir, **kw)
            except FileNotFoundError:
                raise RigError(f"{argv[0]} is missing: run 'make setup'") from None
            self.children.append(child)
        return child

    def close(self):
        """Ends the processes, newest first, and removes the folder; may be repeated."""
        with held_signals():
            for child in reversed(self.children):
                if child.poll() is None:
                    child.kill()
                child.wait()
                for stream in (child.stdin, child.stdout, child.stderr):
                    if stream:
                        stream.close()
            self.children.clear()
            shutil.rmtree(self.dir, ignore_errors=True)
            if not self.watcher.stdin.closed:
                self.watcher.stdin.close()
                self.watcher.wait()
