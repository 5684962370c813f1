"""The one stream of every page: server-sent events that name what to look at again.

While a stream is open no database session and no transaction is held; an idle one costs a few bytes each 15 seconds.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any, cast

from flask import Flask, Response, current_app, g, request, session
from flask_login import current_user

from portal import clock, live
from portal.config import Settings
from portal.live import ears
from portal.live.hub import Ended, Hub, Stream
from portal.web import asker
from portal.web.guards import SIGN_IN

KEEP_ALIVE = 15.0  # seconds between two comments; how soon a vanished browser is noticed
SPARE_FILES = 512  # for databases, calls to Microsoft, and requests that come and go
LONGEST = 600.0  # seconds; then the browser comes back and has to show again who it is


def setup(app: Flask) -> None:
    """Make the hub; note at the beginning of each request where events stand, before anything is read."""
    settings: Settings = app.extensions["settings"]
    app.extensions["live"] = Hub(settings.stream_limit, ears.for_database(settings.database_url))
    app.before_request(note_position)
    app.add_template_global(stream_address)


def hub() -> Hub:
    """The hub of this process."""
    return cast(Hub, current_app.extensions["live"])


def note_position() -> None:
    """What this page shows is at least as new as this."""
    g.live_position = hub().position()


def stream_address(about: str = "") -> str:
    """Where a page connects to: its stream tells everything since the page was made. Empty for who has none.

    `about` is the conversation that a supporter's page shows: the stream then also says that its person has news.
    """
    if not audiences():
        return ""
    return f"/live?since={g.get('live_position', '')}" + (f"&about={about}" if about else "")


def audiences() -> list[str]:
    """Who is reading: a member hears of their own things, a supporter also of the desk's."""
    if not current_user.is_authenticated:
        name = asker.visitor()
        return [f"visitor:{name}"] if name else []
    found = [live.member(current_user.id), live.sign_in(session[SIGN_IN])]
    return [*found, live.SUPPORT] if current_user.is_support() else found


def stream(beat: Callable[[bool], None], about: str = "") -> Response:
    """The stream. 503 beyond the cap: the page then looks by itself from time to time.

    `beat(True)` is called now and every few seconds while it is open, `beat(False)` at its end. `about` is the audience
    of somebody whose news a supporter's page shows.
    """
    own = audiences()
    if not own:
        return Response(status=401)
    opened = hub().open(own, request.headers.get("Last-Event-ID") or request.args.get("since", ""), about)
    if opened is None:
        return Response(status=503, headers={"Retry-After": "30"})
    answer = Response(_tell(hub(), opened, beat), mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    answer.call_on_close(partial(hub().close, opened))  # also when the server never begins to read it
    return answer


def _tell(of: Hub, stream: Stream, beat: Callable[[bool], None]) -> Iterator[str]:
    until = clock.monotonic() + LONGEST * random.uniform(0.9, 1.1)  # noqa: S311 - spreads the returns
    try:
        yield "retry: 500\n\n"
        while clock.monotonic() < until:
            beat(True)
            for number, event in stream.wait(KEEP_ALIVE):
                yield f"id: {number}\nevent: {event.what}\ndata: {' '.join(event.data.split())}\n\n"
                if event.what == live.SIGNED_OUT:
                    return
            yield ":\n\n"
    except Ended:
        return
    finally:
        of.close(stream)
        beat(False)


def make_room(app: Flask) -> None:
    """Let this process open as many files as its streams need; where the system refuses, fewer streams are opened."""
    ours: Hub = app.extensions["live"]
    wanted = ours.limit + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        ours.limit = min(ours.limit, max(1, most - SPARE_FILES))


def end_on_signals(app: Flask) -> None:
    """End all streams as soon as the server is told to stop, so that a graceful stop has nothing to wait for.

    Called by wsgi.py in the main thread, after the server has set its own handlers; these still run. Only gunicorn's
    quick stop is done here: its own takes the pool's lock inside the signal handler, and waits for itself when a
    terminal's Ctrl-C and gunicorn's signal to its worker arrive together.
    """
    ours: Hub = app.extensions["live"]
    stops = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    has_graceful_stop = callable(signal.getsignal(signal.SIGTERM))
    for number in stops:
        before: Any = signal.getsignal(number)

        def handle(got: int, frame: FrameType | None, before: Any = before) -> None:
            ours.end()
            if has_graceful_stop and got != signal.SIGTERM:
                for each in stops:
                    signal.signal(each, _heard_already)  # SIG_IGN: Python complains of one that was on its way
                sys.exit(0)
            if callable(before):
                before(got, frame)
            elif before == signal.SIG_DFL:
                signal.signal(got, signal.SIG_DFL)
                signal.raise_signal(got)

        signal.signal(number, handle)


def _heard_already(_number: int, _frame: FrameType | None) -> None:
    """A second signal while the process ends."""
