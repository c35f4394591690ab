"""
What a prompt asks of the fake OpenCode, and the text which must come out of it.

Both ends import this: the fake plays a script, the reader checks the answer against the same script.
"""

import random
import re
from dataclasses import dataclass
from pydoc_data.topics import topics

_SETTING = re.compile(r"\b(n|size|rate|stamp|ask)=([0-9.]+)")
_NUMBERED = re.compile(r"(\d{7})@(\d{19})x* ")
_NUMBER = 7
_LENGTH = 256 * 1024
_QUOTES = str.maketrans("", "", '"\\')  # the fake puts a delta between quotes as it is
_HELP = " ".join(topics[name] for name in sorted(topics))
_WORDS = _HELP.encode("ascii", "ignore").decode().translate(_QUOTES).split()
# Word after word of what Python's help says of the language, each as often as it is there, and no phrase twice: a store
# that compresses must not look better here than with prose or code, at whatever length.
_TEXT = " ".join(random.Random(1).choices(_WORDS, k=_LENGTH // 4))[:_LENGTH]  # noqa: S311 - no secret
_STAMP = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    A turn of `n` deltas, each `size` bytes of text, `rate` of them a second (0: as fast as possible).

    With `ask`, it asks for a permission before it says anything, and waits. With `stamp`, each delta carries time.monotonic_ns() of its sending, which Linux takes from one clock for
    all processes.
    """

    n: int = 1
    size: int = 20
    rate: float = 0.0
    stamp: bool = False
    ask: bool = False

    @classmethod
    def parse(cls, prompt: str) -> "Script":
        """Find the settings anywhere in a prompt: a wrapper may add words of its own."""
        said = dict(_SETTING.findall(prompt))
        stamp = bool(int(said.get("stamp", "0")))

        return cls(
            n=int(said.get("n", "1")),
            size=max(int(said.get("size", "20")), _NUMBER + 1 + stamp * (_STAMP + 1)),
            rate=float(said.get("rate", "0")),
            stamp=stamp,
            ask=bool(int(said.get("ask", "0"))),
        )

    def prompt(self) -> str:
        """Say the script as a prompt."""
        return f"n={self.n} size={self.size} rate={self.rate:g} stamp={self.stamp:d} ask={self.ask:d}"

    def word(self, number: int) -> str:
        """The text of one delta, without a stamp."""
        start = number * self.size % _LENGTH
        return _TEXT[start : start + self.size].ljust(self.size, "x")

    def stamped(self, number: int, at: int) -> str:
        """The text of one delta sent at this monotonic nanosecond."""
        return f"{number:0{_NUMBER}d}@{at:0{_STAMP}d}".ljust(self.size - 1, "x") + " "

    def text(self, words: int) -> str:
        """What the first `words` deltas add up to, without stamps."""
        return "".join(map(self.word, range(words)))

    def fits(self, text: str, *, cut_short: bool = False) -> bool:
        """Is this the text which must come out? With `cut_short`, a turn ended early may have fewer deltas."""
        words, rest = divmod(len(text), self.size)
        if rest or words > self.n or words == 0:
            return False
        if words < self.n and not cut_short:
            return False
        if not self.stamp:
            return text == self.text(words)

        return [number for number, _ in stamps(text)] == list(range(words))


def stamps(text: str) -> list[tuple[int, int]]:
    """The number and the sending time of every stamped word in a text."""
    return [(int(number), int(at)) for number, at in _NUMBERED.findall(text)]
