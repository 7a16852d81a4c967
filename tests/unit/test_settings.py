"""Settings from the environment and `.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orthoray.callbacks import new_secret
from orthoray.errors import ConfigurationError
from orthoray.settings import Settings, is_loopback, load_settings

OLD_ENV = """
# the environment of an older installation
GATEWAY_PORT=8000
IMAGERY_DB_HOST=imagery-db
IMAGERY_DB_PORT=5433
IMAGERY_DB_NAME=imagery
IMAGERY_DB_USER=imagery_user
IMAGERY_DB_PASSWORD="p'a ss=\\\\w"
ANALYSIS_DB_HOST=analysis-db
ANALYSIS_DB_PASSWORD=secret2
REPORT_DB_HOST=report-db
REPORT_DB_PASSWORD=secret3
MINIO_ENDPOINT=http://minio:9000
MINIO_ACCESS_KEY=minioadmin
MINIO_SECRET_KEY=minio-secret
MINIO_REGION=eu-central-1
MINIO_BUCKET_IMAGERY=pictures
REDIS_URL=redis://:redis-secret@redis:6379/0
STORAGE_ROOT=/srv/files
CELERY_BROKER_URL=redis://redis:6379/0
IMAGERY_SERVICE_URL=http://imagery-service:8001
"""
TOKENS = "JWT_ISSUER=https://id.example\nJWT_AUDIENCE=orthoray\n"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def from_env(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "a.env"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        from_env(tmp_path, text)
    assert "\n" not in caught.value.detail
    return caught.value.detail


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert (settings.gateway_host, settings.gateway_port) == ("127.0.0.1", 8080)
    assert settings.auth_mode == "key"
    assert settings.external_databases is False
    assert settings.storage().root == settings.orthoray_home / "storage"
    assert settings.storage().endpoint is None


def test_an_old_env_file_works(tmp_path: Path) -> None:
    settings = from_env(tmp_path, OLD_ENV)
    assert settings.gateway_port == 8000
    assert settings.external_databases
    assert settings.dsn("imagery") == (
        "host=imagery-db port=5433 dbname=imagery user=imagery_user password='p\\'a ss=\\\\w'"
    )
    assert "dbname=report_db user=report" in settings.dsn("report")
    storage = settings.storage()
    assert (storage.endpoint, storage.access_key, storage.secret_key) == (
        "http://minio:9000",
        "minioadmin",
        "minio-secret",
    )
    assert (storage.region, storage.buckets) == ("eu-central-1", ("pictures", "heatmaps", "reports"))
    assert storage.root == Path("/srv/files")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = from_env(tmp_path, OLD_ENV)
    for secret in ("secret", "p'a"):
        shown = (
            repr(settings)
            .replace("minio_secret_key", "")
            .replace("webhook_secret", "")
            .replace("jwt_hs256_secret", "")
        )
        assert secret not in shown
        assert secret not in repr(settings.storage()).replace("secret_key", "")


def test_callbacks_need_a_secret_that_signs(tmp_path: Path) -> None:
    assert from_env(tmp_path, "CALLBACK_NETWORKS=10.0.0.0/8").callbacks() is None
    secret = new_secret()
    policy = from_env(tmp_path, f"WEBHOOK_SECRET={secret}\nCALLBACK_NETWORKS=10.0.0.0/8").callbacks()
    assert policy is not None
    assert policy.secret == secret
    assert policy.allows("10.1.2.3")
    with pytest.raises(ConfigurationError, match=r"^WEBHOOK_SECRET: give whsec_"):
        from_env(tmp_path, "WEBHOOK_SECRET=easy")
    with pytest.raises(ConfigurationError, match=r"^TRUSTED_PROXIES: proxy is no network"):
        from_env(tmp_path, "TRUSTED_PROXIES=10.0.0.0/8,proxy")
    with pytest.raises(ConfigurationError, match=r"^CALLBACK_NETWORKS: 10\.0\.0 is no network"):
        from_env(tmp_path, "CALLBACK_NETWORKS=10.0.0")


def test_redis_is_named_by_its_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^REDIS_URL: begin with redis://"):
        from_env(tmp_path, "REDIS_URL=redis:6379")


def test_an_empty_value_is_not_set(tmp_path: Path) -> None:
    text = "".join(f"{name.upper()}=\n" for name in Settings.model_fields)
    assert from_env(tmp_path, text) == load_settings(None)


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "9001")
    monkeypatch.setenv("REDIS_URL", "")
    settings = from_env(tmp_path, "GATEWAY_PORT=9000\nREDIS_URL=redis://x")
    assert settings.gateway_port == 9001
    assert settings.redis_url is None


def test_the_file_in_the_present_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=9000")
    assert load_settings().gateway_port == 9000
    assert load_settings(overrides={"gateway_port": 1234}).gateway_port == 1234


def test_folders_are_absolute(tmp_path: Path) -> None:
    settings = from_env(tmp_path, "ORTHORAY_HOME=~/there\nSTORAGE_ROOT=files")
    assert settings.orthoray_home == Path.home() / "there"
    assert settings.storage_root == tmp_path / "files"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_no_authentication_on_this_machine(tmp_path: Path, host: str) -> None:
    assert is_loopback(host)
    assert from_env(tmp_path, f"AUTH_MODE=none\nGATEWAY_HOST={host}").auth_mode == "none"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.1.example.org"])  # noqa: S104 - it must be refused
def test_no_authentication_for_the_world_is_refused(tmp_path: Path, host: str) -> None:
    message = refusal(tmp_path, f"AUTH_MODE=none\nGATEWAY_HOST={host}")
    assert host in message
    assert "AUTH_MODE=key" in message


def test_no_authentication_behind_haproxy_is_refused(tmp_path: Path) -> None:
    """Ray makes the gateway's replicas listen on all addresses then, whatever GATEWAY_HOST is."""
    assert from_env(tmp_path, "SERVE_INGRESS=haproxy").serve_ingress == "haproxy"
    message = refusal(tmp_path, "AUTH_MODE=none\nSERVE_INGRESS=haproxy")
    assert "SERVE_INGRESS=proxy or AUTH_MODE=key" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("GATEWAY_PORT=http", ["GATEWAY_PORT"]),
        ("GATEWAY_PORT=70000", ["GATEWAY_PORT", "65535"]),
        ("AUTH_MODE=open", ["AUTH_MODE", "'key' or 'none'"]),
        ("MAX_UPLOAD_BYTES=0", ["MAX_UPLOAD_BYTES"]),
        ("SERVE_INGRESS=nginx", ["SERVE_INGRESS", "'proxy' or 'haproxy'"]),
        ("DEFAULT_LANGUAGE=de", ["DEFAULT_LANGUAGE", "'ru', 'ro' or 'en'"]),
        ("MINIO_ENDPOINT=http://minio:9000", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"]),
        ("IMAGERY_DB_HOST=db", ["ANALYSIS_DB_HOST", "REPORT_DB_HOST"]),
        ("JWT_ISSUER=https://id.example", ["JWT_JWKS_URL"]),
        ("JWT_JWKS_URL=https://id.example/certs", ["JWT_ISSUER", "JWT_AUDIENCE"]),
        (f"{TOKENS}JWT_JWKS_URL=http://id.example/certs", ["JWT_JWKS_URL", "https://"]),
        (f"{TOKENS}JWT_JWKS_URL=file:///etc/passwd", ["JWT_JWKS_URL", "https://"]),
        (f"{TOKENS}JWT_HS256_SECRET=short", ["JWT_HS256_SECRET", "32 bytes"]),
        (f"{TOKENS}JWT_HS256_SECRET={'s' * 32}\nGATEWAY_HOST=0.0.0.0", ["JWT_HS256_SECRET", "JWT_JWKS_URL"]),
        (f"{TOKENS}JWT_HS256_SECRET={'s' * 32}\nSERVE_INGRESS=haproxy", ["JWT_HS256_SECRET", "JWT_JWKS_URL"]),
        (f"{TOKENS}JWT_HS256_SECRET={'s' * 32}\nJWT_JWKS_URL=https://id.example/certs", ["not both"]),
        ("AUTH_MODE=none\nGRPC_PORT=50051", ["AUTH_MODE=none", "GRPC_PORT", "all addresses"]),
        (f"{TOKENS}JWT_HS256_SECRET={'s' * 32}\nGRPC_PORT=50051", ["JWT_HS256_SECRET", "GRPC_PORT"]),
        ("GRPC_PORT=0", ["GRPC_PORT"]),
        ("CORS_ORIGINS=*", ["CORS_ORIGINS", "'*'"]),
        ("CORS_ORIGINS=https://maps.example.org/", ["CORS_ORIGINS", "no origin"]),
        ("CORS_ORIGINS=https://a.example null", ["CORS_ORIGINS"]),
        ("ANALYSIS_DB_PORT=x\nREPORT_DB_PORT=y", ["ANALYSIS_DB_PORT"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, text: str, words: list[str]) -> None:
    message = refusal(tmp_path, text)
    assert all(word in message for word in words), message


def test_tokens_and_origins(tmp_path: Path) -> None:
    settings = from_env(
        tmp_path,
        f"{TOKENS}JWT_JWKS_URL=https://id.example/certs\nCORS_ORIGINS=https://a.example, http://localhost:5173",
    )
    assert (settings.jwt_tenant_claim, settings.behind_https) == ("tenant", False)
    assert settings.origins == ("https://a.example", "http://localhost:5173")
    assert from_env(tmp_path, f"{TOKENS}JWT_JWKS_URL=http://127.0.0.1:8180/certs").jwt_jwks_url
    assert "hunter2" not in repr(from_env(tmp_path, f"{TOKENS}JWT_HS256_SECRET={'hunter2' * 9}"))
    assert from_env(tmp_path, "").origins == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://maps.example.org/orthoray/", "https://maps.example.org/orthoray"),
        ("http://[::1]:8080", None),
        ("", ""),
    ],
)
def test_the_public_address(tmp_path: Path, given: str, kept: str | None) -> None:
    expected = given if kept is None else kept or None
    assert from_env(tmp_path, f"PUBLIC_URL={given}").public_url == expected


@pytest.mark.parametrize(
    "given", ["maps.example.org", "https://u:p@maps.example.org", "https://a/?x=1", "ftp://a"]
)
def test_a_public_address_that_is_none(tmp_path: Path, given: str) -> None:
    assert "PUBLIC_URL" in refusal(tmp_path, f"PUBLIC_URL={given}")


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(tmp_path, "MINIO_ENDPOINT=http://minio\nMINIO_SECRET_KEY=hunter2")


def test_overrides_are_checked_too() -> None:
    wrong: dict[str, Any] = {"auth_mode": "none", "gateway_host": "0.0.0.0"}  # noqa: S104 - it must be refused
    with pytest.raises(ConfigurationError):
        load_settings(None, wrong)
