"""Object keys: they depend on ids and the number of the attempt, so that a repeated step writes the same object again."""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5

from orthoray.contracts import DEFAULT_TENANT

UUID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _of_tenant(tenant: str, key: str) -> str:
    """Keys of the default tenant keep the shape that older installations have."""
    return key if tenant == DEFAULT_TENANT else f"{tenant}/{key}"


def belongs_to(tenant: str, key: str) -> bool:
    """Whether the key can be of this tenant's object; of the default tenant's, whose keys have no common beginning, any can."""
    return tenant == DEFAULT_TENANT or key.startswith(f"{tenant}/")


def imagery_prefix(tenant: str, imagery_id: UUID) -> str:
    """The folder of an imagery's files, with its closing slash."""
    return _of_tenant(tenant, f"imagery/{imagery_id}/")


def imagery_key(tenant: str, imagery_id: UUID, filename: str) -> str:
    return imagery_prefix(tenant, imagery_id) + filename


def thumbnail_key(tenant: str, imagery_id: UUID) -> str:
    return _of_tenant(tenant, f"thumbnails/{imagery_id}.png")


def heatmap_key(tenant: str, run_id: UUID, attempt: int = 1) -> str:
    return _of_tenant(tenant, f"heatmaps/{_attempt_of(run_id, attempt)}.png")


def index_key(tenant: str, run_id: UUID, attempt: int = 1) -> str:
    return _of_tenant(tenant, f"indices/{_attempt_of(run_id, attempt)}.tif")


def report_key(tenant: str, report_id: UUID, attempt: int = 1) -> str:
    return _of_tenant(tenant, f"reports/{_attempt_of(report_id, attempt)}.pdf")


def _attempt_of(subject: UUID, attempt: int) -> str:
    """Each attempt writes objects of its own: one that is slow to die can harm those of no other."""
    return str(subject) if attempt == 1 else f"{subject}-{attempt}"


def batch_prefix(tenant: str, batch_id: UUID) -> str:
    """The folder of a batch's results, with its closing slash."""
    return _of_tenant(tenant, f"batches/{batch_id}/")


def report_id(run_id: UUID, language: str) -> UUID:
    """There is one report per run and language, and its id says so."""
    return uuid5(NAMESPACE_URL, f"orthoray:report:{run_id}:{language}")
