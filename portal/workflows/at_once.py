"""Several calls to the vendor side by side, as many as it takes for one mailbox at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from portal import clock
from portal.providers.base import AccessEnded, AccessReason, ProviderError, Rejected

AT_ONCE = 4
"""https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits. Sending the same calls in one `$batch`
is not faster: the vendor carries out as many of it at a time."""

LOOK_UP_EVERY = 1.0  # seconds

T = TypeVar("T")


class TimeIsUp(ProviderError):
    """Nothing went wrong, but there was more to do than there was time for."""

    sentence = "There was not time enough for all of it."


def is_refusal(error: ProviderError) -> bool:
    """Whether the vendor refused this one thing, and may well allow the next."""
    return isinstance(error, Rejected) or is_forbidden(error)


def is_forbidden(error: ProviderError) -> bool:
    """Whether it was refused for good: to ask again will not help."""
    return isinstance(error, AccessEnded) and error.reason is AccessReason.SCOPE_MISSING


def for_each(
    items: Iterable[T],
    call: Callable[[T], None],
    *,
    is_over: Callable[[], bool] = lambda: False,
    refused: dict[T, ProviderError] | None = None,
) -> ProviderError | None:
    """Do `call(item)` for all of them; returns the first trouble, after which nothing more is begun.

    What was under way then is still awaited, so that the caller knows of each item how it went. `call` must not use the
    database: it runs in another thread. `is_over` is asked in this one, about every second: a vendor that answers, but
    slowly, must not hold us longer than one that does not. Then the trouble is TimeIsUp. With `refused`, a refusal of
    one item is noted there, and is no trouble for the others.
    """
    trouble: list[ProviderError] = []

    def one(item: T) -> None:
        if trouble:
            return
        try:
            call(item)
        except ProviderError as error:
            if refused is not None and is_refusal(error):
                refused[item] = error
            else:
                trouble.append(error)

    some = list(items)
    if len(some) == 1:
        one(some[0])
    elif some:
        with ThreadPoolExecutor(min(AT_ONCE, len(some))) as pool:
            under_way: set[Future[None]] = set()
            asked_at = clock.monotonic()
            for item in some:
                if len(under_way) == AT_ONCE:
                    ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for each in ended:
                        each.result()
                    if not trouble and clock.monotonic() - asked_at >= LOOK_UP_EVERY:
                        asked_at = clock.monotonic()
                        if is_over():
                            trouble.append(TimeIsUp())
                if trouble:
                    break
                under_way.add(pool.submit(one, item))
            for each in under_way:
                each.result()
    return trouble[0] if trouble else None
