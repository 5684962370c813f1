"""The receipt: written once when a disconnection ends, signed with Ed25519 (RFC 8032), verifiable by anybody."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from portal.db import db
from portal.models import Disconnection, Receipt
from portal.parts import parts
from portal.vault import key_id
from portal.workflows.promise import erased, up_to_the_minute

VERSION = 1


def write(disconnection: Disconnection, words: dict[str, tuple[str, str]], *, remote: Collection[str]) -> Receipt:
    """Make and sign the receipt in the caller's transaction. `words` gives each step's title and promise; `remote`
    names the steps that needed our tokens, and says why those that were given up cannot be tried again."""
    account = _account(disconnection, words, remote)
    body = json.dumps(account, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key = Ed25519PrivateKey.from_private_bytes(parts().settings.receipt_keys[0])
    receipt = Receipt(
        disconnection_id=disconnection.id,
        body=body,
        signature=base64.b64encode(key.sign(body.encode())).decode(),
        key_id=key_id(_public(key)),
    )
    db.session.add(receipt)
    return receipt


def read(text: str) -> Receipt:
    """A receipt as it was downloaded. Raises ValueError when there is anything else in the file, or anything twice:
    nobody must be able to show words beside it that were never signed."""
    envelope = json.loads(text, object_pairs_hook=_each_once)
    if not isinstance(envelope, dict) or set(envelope) != {"receipt", "signature", "key_id"}:
        raise ValueError("not a downloaded receipt")
    if not all(isinstance(value, str) for value in envelope.values()):
        raise ValueError("not a downloaded receipt")
    return Receipt(body=envelope["receipt"], signature=envelope["signature"], key_id=envelope["key_id"])


def is_of_a_known_key(receipt: Receipt) -> bool:
    """Whether we have the key that it says it was signed with; without it nobody here can tell."""
    return receipt.key_id in public_keys()


def verify(receipt: Receipt) -> bool:
    """Whether the receipt is as we signed it, with any of our keys."""
    for seed in parts().settings.receipt_keys:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        if key_id(_public(key)) != receipt.key_id:
            continue
        try:
            key.public_key().verify(base64.b64decode(receipt.signature, validate=True), receipt.body.encode())
        except (InvalidSignature, ValueError):
            return False
        return True
    return False


def public_keys() -> dict[str, str]:
    """Key id to public key (raw, base64), to be published."""
    keys = [_public(Ed25519PrivateKey.from_private_bytes(seed)) for seed in parts().settings.receipt_keys]
    return {key_id(key): base64.b64encode(key).decode() for key in keys}


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same name twice")
    return found


def _account(
    disconnection: Disconnection, words: dict[str, tuple[str, str]], remote: Collection[str]
) -> dict[str, Any]:
    return {
        "version": VERSION,
        "id": disconnection.id,
        "integration": parts().providers[disconnection.integration].title,
        "account_kind": disconnection.account_kind,
        "started_at": _moment(disconnection.started_at),
        "finished_at": _moment(disconnection.finished_at),
        "erased_early": disconnection.erase_now_at is not None,
        "lapses_at": _end(disconnection.lapses_at),
        "subscription_ends_at": _end(disconnection.subscription_ends_at),
        "steps": [
            {
                "name": step.name,
                "title": words[step.name][0],
                "promise": words[step.name][1],
                "outcome": step.outcome,
                "detail": step.detail,
                "count": step.count,
                "request_ids": step.request_ids,
                "link": step.link,
                "link_title": step.link_title,
                "attempts": step.attempts,
                "ended_at": _moment(step.ended_at),
                "asked_again_at": _moment(step.again_at),
                "why_not_again": erased(disconnection) if step.name in remote and step.is_given_up() else None,
            }
            for step in disconnection.steps
        ],
    }


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _end(moment: datetime | None) -> str | None:
    return _moment(up_to_the_minute(moment)) if moment else None


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None
