"""All settings, read once from the environment and `.env`. Unknown keys are ignored."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orthoray.callbacks import CallbackPolicy, parse_networks, secret_bytes
from orthoray.errors import ConfigurationError
from orthoray.storage.config import StorageConfig

SERVICES = ("imagery", "analysis", "report")
MIN_SECRET_BYTES = 32
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


class Settings(BaseSettings):
    """Names are those of the environment variables, in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    orthoray_home: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "orthoray")
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8080, ge=1, le=65535)
    grpc_port: int | None = Field(default=None, ge=1, le=65535)
    ray_dashboard_port: int = Field(default=8265, ge=1, le=65535)
    ray_address: str | None = None
    serve_ingress: Literal["proxy", "haproxy"] = "proxy"
    auth_mode: Literal["key", "none"] = "key"
    jwt_jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_tenant_claim: str = Field(default="tenant", min_length=1)
    jwt_hs256_secret: SecretStr | None = None
    cors_origins: str | None = None
    behind_https: bool = False
    public_url: str | None = None
    graphql_introspection: bool = True
    default_language: Literal["ru", "ro", "en"] = "ru"
    max_upload_bytes: int = Field(default=512 * 1024**2, ge=1)
    max_object_bytes: int = Field(default=64 * 1024**3, ge=1)
    max_open_uploads: int = Field(default=32, ge=1)
    max_waiting: int = Field(default=10_000, ge=1)
    requests_per_minute: int = Field(default=60_000, ge=1)
    requests_at_once: int = Field(default=128, ge=1)
    failed_logins_per_minute: int = Field(default=600, ge=1)
    trusted_proxies: str | None = None
    max_pixels: int = Field(default=4_000_000_000, ge=1)
    large_raster_pixels: int = Field(default=200_000_000, ge=1)
    redis_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    callback_networks: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"
    otel_exporter_otlp_endpoint: str | None = None
    analysis_concurrency: int | None = Field(default=None, ge=1)
    report_concurrency: int | None = Field(default=None, ge=1)
    reconcile: Literal["report", "fix", "off"] = "report"
    max_attempts: int = Field(default=5, ge=1)
    max_replicas: int = Field(default=1, ge=1)

    storage_root: Path | None = None
    minio_endpoint: str | None = None
    minio_access_key: str | None = None
    minio_secret_key: SecretStr | None = None
    minio_region: str = "us-east-1"
    s3_public_endpoint: str | None = None
    minio_bucket_imagery: str = "imagery"
    minio_bucket_heatmaps: str = "heatmaps"
    minio_bucket_reports: str = "reports"

    imagery_db_host: str | None = None
    imagery_db_port: int = 5432
    imagery_db_name: str = "imagery_db"
    imagery_db_user: str = "imagery"
    imagery_db_password: SecretStr = SecretStr("")
    analysis_db_host: str | None = None
    analysis_db_port: int = 5432
    analysis_db_name: str = "analysis_db"
    analysis_db_user: str = "analysis"
    analysis_db_password: SecretStr = SecretStr("")
    report_db_host: str | None = None
    report_db_port: int = 5432
    report_db_name: str = "report_db"
    report_db_user: str = "report"
    report_db_password: SecretStr = SecretStr("")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`KEY=` means "not set", in a .env as in the environment, where it hides the .env's value."""
        return {name: value for name, value in values.items() if value != ""}

    @field_validator("orthoray_home", "storage_root")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else value

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value and not _ADDRESS.fullmatch(value):
            raise ValueError(
                "write the address of the API as clients call it: https://maps.example.org/orthoray"
            )
        return value and value.rstrip("/")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError(
                "begin with redis://, rediss:// (TLS) or unix://, for instance redis://:password@host:6379/0"
            )
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            secret_bytes(value.get_secret_value())
        return value

    @field_validator("callback_networks", "trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str | None) -> str | None:
        parse_networks(value or "")
        return value

    @model_validator(mode="after")
    def _safe_and_whole(self) -> Settings:
        if self.auth_mode == "none" and not is_loopback(self.gateway_host):
            raise ValueError(
                f"AUTH_MODE=none would let anyone in at {self.gateway_host}: "
                "set GATEWAY_HOST=127.0.0.1 or AUTH_MODE=key"
            )
        if self.auth_mode == "none" and self.serve_ingress == "haproxy":
            raise ValueError(
                "AUTH_MODE=none would let anyone in: behind HAProxy the gateway's replicas listen on all addresses; "
                "set SERVE_INGRESS=proxy or AUTH_MODE=key"
            )
        if self.auth_mode == "none" and self.grpc_port:
            raise ValueError(
                "AUTH_MODE=none would let anyone in: GRPC_PORT listens on all addresses; leave GRPC_PORT out or set AUTH_MODE=key"
            )
        if self.minio_endpoint and not (self.minio_access_key and self.minio_secret_key):
            raise ValueError("MINIO_ENDPOINT is set: set MINIO_ACCESS_KEY and MINIO_SECRET_KEY too")
        hosts = [getattr(self, f"{service}_db_host") for service in SERVICES]
        if any(hosts) and not all(hosts):
            raise ValueError(
                "set IMAGERY_DB_HOST, ANALYSIS_DB_HOST and REPORT_DB_HOST together, "
                "or none of them for the built-in PostgreSQL"
            )
        return self

    @model_validator(mode="after")
    def _tokens_are_safe(self) -> Settings:
        secret = self.jwt_hs256_secret.get_secret_value() if self.jwt_hs256_secret else None
        if not (self.jwt_jwks_url or secret):
            if self.jwt_issuer or self.jwt_audience:
                raise ValueError(
                    "JWT_ISSUER or JWT_AUDIENCE is set: set JWT_JWKS_URL too, whose keys tokens are signed with"
                )
            return self
        if self.jwt_jwks_url and secret:
            raise ValueError("set JWT_JWKS_URL or, for development, JWT_HS256_SECRET, not both")
        if not (self.jwt_issuer and self.jwt_audience):
            raise ValueError(
                "tokens are taken: set JWT_ISSUER and JWT_AUDIENCE, for a token for another service must not open this one"
            )
        if self.jwt_jwks_url:
            place = urlsplit(self.jwt_jwks_url)
            if place.scheme != "https" and not (place.scheme == "http" and is_loopback(place.hostname or "")):
                raise ValueError(
                    "JWT_JWKS_URL must be https://...: whoever changes its answer on the way can make tokens"
                )
        if secret:
            if not is_loopback(self.gateway_host) or self.serve_ingress == "haproxy":
                raise ValueError(
                    "JWT_HS256_SECRET is for development: set GATEWAY_HOST=127.0.0.1 and SERVE_INGRESS=proxy, or JWT_JWKS_URL"
                )
            if self.grpc_port:
                raise ValueError(
                    "JWT_HS256_SECRET is for development, and GRPC_PORT listens on all addresses: leave one of them out"
                )
            if len(secret.encode()) < MIN_SECRET_BYTES:
                raise ValueError(
                    f"JWT_HS256_SECRET has fewer than {MIN_SECRET_BYTES} bytes: make one with `openssl rand -hex 32`"
                )
        return self

    @model_validator(mode="after")
    def _origins_are_origins(self) -> Settings:
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"CORS_ORIGINS: {origin!r} is no origin: write https://maps.example.org,https://other.example"
                )
        return self

    @property
    def origins(self) -> tuple[str, ...]:
        """Whose pages may call the API in a browser."""
        return tuple(part.strip() for part in (self.cors_origins or "").split(",") if part.strip())

    @property
    def external_databases(self) -> bool:
        return self.imagery_db_host is not None

    def dsn(self, service: str) -> str:
        """The connection URL of one service's external database."""
        import psycopg.conninfo  # here: the command-line analysis needs no database driver

        return psycopg.conninfo.make_conninfo(
            host=getattr(self, f"{service}_db_host"),
            port=getattr(self, f"{service}_db_port"),
            dbname=getattr(self, f"{service}_db_name"),
            user=getattr(self, f"{service}_db_user"),
            password=getattr(self, f"{service}_db_password").get_secret_value(),
        )

    def callbacks(self) -> CallbackPolicy | None:
        """Where callbacks may go; None where there is no secret to sign them with."""
        if self.webhook_secret is None:
            return None
        return CallbackPolicy(
            self.webhook_secret.get_secret_value(), parse_networks(self.callback_networks or "")
        )

    def storage(self) -> StorageConfig:
        """Which back end the files go to: S3 when MINIO_ENDPOINT is set, else a local folder."""
        return StorageConfig(
            root=self.storage_root or self.orthoray_home / "storage",
            endpoint=self.minio_endpoint,
            access_key=self.minio_access_key,
            secret_key=self.minio_secret_key.get_secret_value() if self.minio_secret_key else None,
            region=self.minio_region,
            imagery=self.minio_bucket_imagery,
            heatmaps=self.minio_bucket_heatmaps,
            reports=self.minio_bucket_reports,
            public_endpoint=self.s3_public_endpoint,
        )


def load_settings(
    env_file: Path | None = Path(".env"), overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: one line for the first wrong setting, naming it and the remedy.
    """
    try:
        return Settings(_env_file=env_file, **(overrides or {}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigurationError(f"{name}: {message}" if name else message) from None


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
