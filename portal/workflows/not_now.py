"""What cannot be done at this moment, for a reason of our own that passes."""

from __future__ import annotations


class NotNow(Exception):
    """The key database is away: ask again later. Nothing was changed."""


class NotYet(Exception):
    """A step of a disconnection that needs nobody else cannot be done yet. `sentence` tells people why.

    It is tried again, `tries` times in all; then the receipt says that it could not be done.
    """

    def __init__(self, sentence: str, tries: int) -> None:
        super().__init__(sentence)
        self.sentence, self.tries = sentence, tries
