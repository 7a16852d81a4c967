"""Secrets of a local installation: made at the first start, kept in files that only their owner can read."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import psycopg

from orthoray.callbacks import new_secret
from orthoray.contracts import DEFAULT_TENANT
from orthoray.database import ALL_ROWS
from orthoray.scopes import ADMIN
from serve_app.imagery.repository import SQL, key_row

KEY_PREFIX = "or_"


def kept_secret(path: Path, make: str) -> str:
    """The secret in `path`, or `make`, written there (mode 0600) if it was not; whole or not at all."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(make + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
    return make


def first_api_key(home: Path, imagery_dsn: str) -> Path:
    """Make sure that the key in `home/api-key` opens the gateway; the database gets only its digest."""
    path = home / "api-key"
    key = kept_secret(path, KEY_PREFIX + secrets.token_urlsafe(32))
    with psycopg.connect(imagery_dsn, options=ALL_ROWS) as connection:
        connection.execute(SQL["insert_key"], key_row(DEFAULT_TENANT, "first key", key, [ADMIN]))
    return path


def webhook_secret(home: Path) -> str:
    """What callbacks are signed with."""
    return kept_secret(home / "webhook-secret", new_secret())


def ray_token(home: Path) -> str:
    """The token that Ray's own ports ask for (dashboard, jobs)."""
    return kept_secret(home / "ray-token", secrets.token_hex(32))
