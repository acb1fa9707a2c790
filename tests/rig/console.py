# SPDX-License-Identifier: MIT
"""A node's console: what it says, and the script of commands and expectations run against it."""
import os
import re
import select
import time

PROMPT = "tern> "
BARE_PROMPT = re.compile(rf"^{PROMPT}$", re.MULTILINE)
# A prompt that something else was printed after counts once the console has been silent so long.
PROMPT_QUIET = 0.5
# Typing waits for the echo of each character: an emulated UART has 16 bytes of room, and a node
# without an interrupt for it looks only now and then.
ECHO_WAIT = 0.1

# How the node takes its prompt away to print a line of the log above it.
ERASE_LINE = "\r\x1b[K"
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-B]|[=>78cDEHM])|[\r\0]")
ESCAPE_BEGIN = re.compile(r"(?:\r|\r?\x1b(?:\[[0-?]*[ -/]*|[()])?)\Z")


class Transcript:
    """The console's text without carriage returns and terminal escapes; what expectations see.
    A line that the node erases stays, and what replaces it begins a new one."""

    def __init__(self):
        self.text = ""
        self._tail = ""

    def feed(self, data):
        """Takes raw bytes; returns the text they add."""
        raw = self._tail + data.decode("latin-1")
        begin = ESCAPE_BEGIN.search(raw)
        self._tail = raw[begin.start():] if begin else ""
        first, *rest = (ESCAPE.sub("", part) for part in
                        (raw[:begin.start()] if begin else raw).split(ERASE_LINE))
        new = first
        for part in rest:
            if (self.text + new)[-1:] not in ("", "\n"):
                new += "\n"
            new += part
        self.text += new
        return new

    def last_line(self):
        return self.text[self.text.rfind("\n") + 1:]


class Console:
    """Reads a node's console, shows it, keeps it."""

    def __init__(self, fd, show, show_raw, log=None):
        self.fd = fd
        self.show = show
        self.show_raw = show_raw
        self.log = log
        self.transcript = Transcript()
        self.heard = time.monotonic()
        self.ended = False

    def pump(self, timeout):
        """Takes what the node says within `timeout` seconds; false once the console is closed."""
        if self.ended:
            return False
        ready, _, _ = select.select([self.fd], [], [], max(timeout, 0))
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            return False
        self.heard = time.monotonic()
        if self.log:
            self.log.write(data)
            self.log.flush()
        text = self.transcript.feed(data)
        self.show.write(data if self.show_raw else text.encode("latin-1"))
        self.show.flush()
        return True

    def quiet(self):
        """Seconds since the node last said something."""
        return time.monotonic() - self.heard

    def write(self, data):
        try:
            while data:
                data = data[os.write(self.fd, data):]
        except (BrokenPipeError, ConnectionResetError):
            self.ended = True

    def type_line(self, line):
        """Types `line` as a person would and ends it with Return; returns where in the text the
        answer begins."""
        for byte in line.encode("utf-8"):
            before = len(self.transcript.text)
            until = time.monotonic() + ECHO_WAIT
            self.write(bytes([byte]))
            while len(self.transcript.text) == before and time.monotonic() < until:
                if not self.pump(until - time.monotonic()):
                    break
        end = len(self.transcript.text)
        self.write(b"\r")
        return end


class Script:
    """Commands and keys to type and expressions to see, in the order given.

    A command waits for the prompt, and for the expressions before it as long as they may still
    come; keys wait for the expressions alone: they are for a guest. Expressions are matched one
    after the other against all that the console said. An expression is given up when the prompt is
    back, nothing is left to type, and the console has been silent for `grace` seconds.
    """

    def __init__(self, console, steps, grace, start=0):
        """`start`: where in the console's text expressions begin to look."""
        self.console = console
        self.steps = steps
        self.grace = grace
        self.inputs = [(kind, text) for kind, text in steps if kind != "expect"]
        self.expects = [(text, re.compile(text, re.MULTILINE))
                        for kind, text in steps if kind == "expect"]
        # For each input, how many expressions stand before it.
        self.before = []
        seen = 0
        for kind, _ in steps:
            if kind == "expect":
                seen += 1
            else:
                self.before.append(seen)
        self.typed = 0      # inputs typed so far
        self.matched = 0    # expressions seen so far
        self._prompt_from = 0
        self._match_from = start

    def at_prompt(self):
        """The shell waits for the next command."""
        said = self.console.transcript
        # What was typed is echoed on the prompt's own line, so a new prompt needs a new line.
        fresh = said.text.find("\n", self._prompt_from) if self.typed else -1
        if self.typed and fresh < 0:
            return False
        if said.last_line() == PROMPT:
            return True
        return (self.console.quiet() > PROMPT_QUIET
                and BARE_PROMPT.search(said.text, fresh + 1) is not None)

    def step(self):
        """Does what can be done now; true when the whole script is done."""
        while self.matched < len(self.expects):
            found = self.expects[self.matched][1].search(self.console.transcript.text,
                                                         self._match_from)
            if not found:
                break
            self._match_from = found.end()
            self.matched += 1
        if self.typed < len(self.inputs):
            self.type_next(self.matched >= self.before[self.typed])
            return False
        if self.matched < len(self.expects):
            return False
        return not self.inputs or self.at_prompt()

    def type_next(self, seen):
        """Types the next input if it is its turn; `seen`: all expressions before it were."""
        kind, text = self.inputs[self.typed]
        if kind == "type":
            if not seen:
                return
            self.console.write(text.encode("utf-8").decode("unicode_escape").encode("latin-1"))
        else:
            if not self.at_prompt() or not (seen or self.silent()):
                return
            self._prompt_from = self.console.type_line(text)
        self.typed += 1

    def silent(self):
        return self.console.quiet() > self.grace

    def hopeless(self):
        """Nothing is left to type and the console has fallen silent at the prompt."""
        return self.typed == len(self.inputs) and self.at_prompt() and self.silent()

    def missing(self):
        """What has not come yet, as a text, or None."""
        if self.typed < len(self.inputs):
            kind, text = self.inputs[self.typed]
            if kind == "shell":
                return f"the prompt to type {text!r} at"
        if self.matched < len(self.expects):
            return f"what --expect {self.expects[self.matched][0]!r} describes"
        return None
