"""How often something may happen: a window that slides, told by two numbers."""

from __future__ import annotations

from attrs import define


@define
class Window:
    """
    Counts what happens, and says how long to wait when it was enough.

    Time is cut into spans of the window's length. What happened within the window is taken to be what happened in this
    span, and of the last one the share that the window still covers: two numbers, however often it happens.
    """

    span: int = 0
    last: int = 0
    now: int = 0
    elsewhere_last: int = 0
    """The same of other processes, as far as it is known."""
    elsewhere: int = 0
    told: int = 0
    """How much of this span others were told."""

    def wait(self, at: float, seconds: float, most: int) -> float:
        """Give the seconds until it may happen once more, 0 if it may now."""
        self.slide(at, seconds)
        passed = at - self.span * seconds
        last, now = self.last + self.elsewhere_last, self.now + self.elsewhere
        room = most - 1 - now
        if room >= last * (1 - passed / seconds):
            return 0.0
        if room >= 0:  # as soon as enough of the last span has slid out
            return seconds * (1 - room / last) - passed
        return seconds - passed + (seconds * (1 - (most - 1) / now) if most <= now else 0.0)

    def count(self, at: float, seconds: float) -> None:
        """Note that it happened."""
        self.slide(at, seconds)
        self.now += 1

    def slide(self, at: float, seconds: float) -> None:
        """Leave behind what the window does not cover any more."""
        span = int(at // seconds)
        if span == self.span:
            return
        follows = span == self.span + 1
        self.last, self.now = (self.now if follows else 0), 0
        self.elsewhere_last, self.elsewhere = (self.elsewhere if follows else 0), 0
        self.span, self.told = span, 0
