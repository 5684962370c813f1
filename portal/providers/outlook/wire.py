"""The transport under every call: one cap on time, one on size, no redirects, one kind of failure.

`requests` limits the wait for each read, not the whole call, so a server that drips bytes could hold a thread for ever.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

import urllib3
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from portal.providers.base import ProviderError, Unreachable
from portal.providers.outlook.watch import POOLS, watching

MAX_BYTES = 10 * 1024 * 1024
_FRAMING = {"content-encoding", "content-length", "transfer-encoding"}


class Wire(HTTPAdapter):
    """An adapter whose `send` ends within `seconds`, with a whole answer of at most `max_bytes`, or with Unreachable.

    It keeps connections open between calls and may be shared by threads.
    """

    def __init__(self, seconds: float, max_bytes: int = MAX_BYTES) -> None:
        self.seconds = seconds
        self.max_bytes = max_bytes
        super().__init__(pool_maxsize=32)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of connections, watched ones."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same behind a proxy that the environment names."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request. What HTTPAdapter.send is told about time and streaming does not count here."""
        failure: ProviderError | None = None
        try:
            with watching(self.seconds):
                response = super().send(
                    request, stream=True, timeout=self.seconds, verify=verify, cert=cert, proxies=dict(proxies or {})
                )
                response.raw = self._whole(response.raw)
        except (RequestException, HTTPError, HTTPException, OSError, ValueError):
            failure = Unreachable()  # raised below: the cause may quote a URL or a header, and must not travel along
        if failure is None and 300 <= response.status_code < 400:
            failure = Unreachable("Microsoft's address answered with a redirect, which we do not follow.")
        if failure is not None:
            raise failure
        response.headers = CaseInsensitiveDict(response.raw.headers)
        return response

    def _whole(self, raw: Any) -> urllib3.HTTPResponse:
        """The answer read to its end and unpacked; longer than allowed is a ValueError."""
        body = io.BytesIO()
        try:
            while chunk := raw.read1(65536, decode_content=True):
                if body.tell() + len(chunk) > self.max_bytes:
                    raise ValueError("too long")
                body.write(chunk)
        except BaseException:
            raw.close()
            raise
        raw.release_conn()
        body.seek(0)
        headers = {name: value for name, value in raw.headers.items() if name.lower() not in _FRAMING}
        return urllib3.HTTPResponse(
            body, headers=headers, status=raw.status, reason=raw.reason, preload_content=False, decode_content=False
        )


def _without_queries(record: logging.LogRecord) -> bool:
    """Cut what follows a "?" out of urllib3's log lines: delta links and codes are secrets."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_without_queries)
