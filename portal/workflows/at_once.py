"""Several calls to the vendor side by side, as many as it takes for one mailbox at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from portal.providers.base import ProviderError

AT_ONCE = 4
"""https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits. Sending the same calls in one `$batch`
is not faster: the vendor carries out as many of it at a time."""


def for_each(items: Iterable[str], call: Callable[[str], None]) -> ProviderError | None:
    """Do `call(item)` for all of them; returns the first trouble, after which nothing more is begun.

    What was under way then is still awaited, so that the caller knows of each item how it went. `call` must not use the
    database: it runs in another thread.
    """
    trouble: list[ProviderError] = []

    def one(item: str) -> None:
        if trouble:
            return
        try:
            call(item)
        except ProviderError as error:
            trouble.append(error)

    some = list(items)
    if len(some) == 1:
        one(some[0])
    elif some:
        with ThreadPoolExecutor(min(AT_ONCE, len(some))) as pool:
            list(pool.map(one, some))
    return trouble[0] if trouble else None
