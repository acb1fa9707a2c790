# SPDX-License-Identifier: MIT
"""The console's text and the script, without an emulator."""
import io
import os

import pytest

from rig.console import Console, Script, Transcript


@pytest.mark.parametrize("chunks, text", [
    ([b"a\r\nb"], "a\nb"),
    ([b"\x1b[1mbold\x1b[0m\x1b(B"], "bold"),
    ([b"\x1b", b"[3", b"1mred"], "red"),
    ([b"tern> \r\x1b[K[1.0] event\r\ntern> "], "tern> \n[1.0] event\ntern> "),
    ([b"tern> \r", b"\x1b[", b"K[1.0] event\r\ntern> "], "tern> \n[1.0] event\ntern> "),
    ([b"line\r\n\r\x1b[Knext"], "line\nnext"),
    ([b"\xff\x00x"], "\xffx"),
])
def test_transcript(chunks, text):
    said = Transcript()
    added = "".join(said.feed(chunk) for chunk in chunks)
    assert said.text == added == text


class Peer:
    """A console whose node is this test."""

    def __init__(self, steps, grace=0.0):
        self.said, out = os.pipe()
        self.out = out
        self.console = Console(self.said, io.BytesIO(), True)
        self.typed = b""
        self.console.write = self.echo
        self.script = Script(self.console, steps, grace)

    def echo(self, data):
        """Typed characters come back, as a shell's do; Return as a new line."""
        self.typed += data
        os.write(self.out, data.replace(b"\r", b"\r\n"))

    def says(self, text):
        os.write(self.out, text)
        self.console.pump(0)
        return self.script.step()

    def close(self):
        os.close(self.out)
        os.close(self.said)


@pytest.fixture(name="peer")
def fixture_peer():
    made = []

    def make(*args, **kw):
        made.append(Peer(*args, **kw))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_command_waits_for_the_prompt(peer):
    p = peer([("shell", "one")])
    assert not p.says(b"loader says tern") and p.typed == b""
    assert not p.says(b"\r\ntern> ") and p.typed == b"one\r"
    assert not p.says(b"answer\r\n")
    assert p.says(b"tern> ")


def test_echo_is_not_a_prompt(peer):
    p = peer([("shell", "one"), ("shell", "two")])
    p.says(b"tern> ")
    assert p.typed == b"one\r"
    p.console.pump(0)
    assert not p.script.step() and p.typed == b"one\r"
    p.says(b"tern> ")
    assert p.typed == b"one\rtwo\r"


def test_log_line_at_the_prompt_is_not_an_answer(peer):
    p = peer([("shell", "one")], grace=9)
    p.says(b"tern> ")
    assert not p.says(b"working\r\n")
    assert not p.says(b"[1.0] event\r\n")
    assert p.says(b"tern> ")


def test_expects_match_one_after_the_other(peer):
    p = peer([("expect", "^a$"), ("expect", "^b$"), ("expect", "^a$")])
    assert not p.says(b"b\r\na\r\n")
    assert p.script.missing() == "what --expect '^b$' describes"
    assert not p.says(b"b\r\n")
    assert p.says(b"a\r\n")


def test_command_waits_for_the_expect_before_it(peer):
    p = peer([("expect", "ready"), ("shell", "one")], grace=60)
    assert not p.says(b"tern> ") and p.typed == b""
    assert not p.says(b"\r\x1b[Kready\r\ntern> ") and p.typed == b"one\r"


def test_keys_wait_for_what_must_be_seen_and_for_no_prompt(peer):
    p = peer([("shell", "vm console web"), ("expect", "login:"), ("type", r"root\r"),
              ("expect", "# $"), ("type", r"\x1d"), ("shell", "mem")], grace=60)
    p.says(b"tern> ")
    assert not p.says(b"web lo") and p.typed == b"vm console web\r"
    assert not p.says(b"gin: ") and p.typed.endswith(b"web\rroot\r")
    assert not p.says(b"\r\n# ") and p.typed.endswith(b"root\r\x1d")
    assert not p.says(b"\r\n[left]\r\ntern> ") and p.typed.endswith(b"\x1dmem\r")
    assert p.says(b"\r\ntern> ")


def test_hopeless_only_when_all_is_typed_and_silent(peer):
    p = peer([("shell", "one"), ("expect", "never")], grace=0)
    assert not p.script.hopeless()
    p.says(b"tern> ")
    assert not p.script.hopeless()
    p.says(b"x\r\ntern> ")
    assert p.script.hopeless()
