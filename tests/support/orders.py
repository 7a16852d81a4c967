"""What a worker is given for one run, of an image that lies in storage."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from fakes import stored_file

from orthoray.contracts import AnalysisRun, Imagery
from orthoray.keys import imagery_key, thumbnail_key
from orthoray.ports import RunOrder, Upload
from orthoray.storage.config import StorageConfig
from pipelines.facts import describe


def order_of(config: StorageConfig, source: Path, tenant: str = "default", **wishes: Any) -> RunOrder:
    """A run of a stored and catalogued image."""
    storage, imagery_id = config.open(), uuid4()
    storage.ensure_buckets(config.buckets)
    key = imagery_key(tenant, imagery_id, source.name)
    content = source.read_bytes()
    storage.put_bytes(config.imagery, key, content)
    upload = Upload(id=imagery_id, files=[stored_file(source.name, key, content)])
    record, thumbnail = describe([source], upload, bucket=config.imagery, max_pixels=10**9)
    storage.put_bytes(config.imagery, thumbnail_key(tenant, imagery_id), thumbnail)
    run = {
        "id": uuid4(),
        "imagery_id": imagery_id,
        "index_type": "NDVI",
        "status": "processing",
        "auto_report": False,
        "language": "en",
        "imagery_bucket": config.imagery,
        "imagery_object_key": key,
        "created_at": datetime.now(UTC),
        **wishes,
    }
    imagery = Imagery(**record, created_at=datetime.now(UTC))
    return RunOrder(run=AnalysisRun.model_validate(run), imagery=imagery, tenant=tenant)
