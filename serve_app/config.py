"""What each deployment is given: its own database only, and the storage. Travels pickled inside the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orthoray.callbacks import CallbackPolicy
from orthoray.contracts import Language
from orthoray.settings import SERVICES, Settings
from orthoray.storage.config import StorageConfig


@dataclass(frozen=True)
class ServiceConfig:
    """One service's share of the settings."""

    dsn: str = field(repr=False)
    storage: StorageConfig
    redis_url: str | None = field(default=None, repr=False)
    max_pixels: int = 4_000_000_000
    max_object_bytes: int = 64 * 1024**3
    max_open_uploads: int = 32
    max_waiting: int = 10_000
    default_language: Language = "ru"
    callbacks: CallbackPolicy | None = None
    max_attempts: int = 5


def service_configs(settings: Settings, dsns: Mapping[str, str]) -> dict[str, ServiceConfig]:
    """By service name; `dsns` are the connection strings of the three databases."""
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    return {
        service: ServiceConfig(
            dsn=dsns[service],
            storage=settings.storage(),
            redis_url=redis_url,
            max_pixels=settings.max_pixels,
            max_object_bytes=settings.max_object_bytes,
            max_open_uploads=settings.max_open_uploads,
            max_waiting=settings.max_waiting,
            default_language=settings.default_language,
            callbacks=settings.callbacks(),
            max_attempts=settings.max_attempts,
        )
        for service in SERVICES
    }
