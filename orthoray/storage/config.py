"""Which storage a process uses: a value that travels to workers, and the one place that opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from orthoray.storage.base import Storage
from orthoray.storage.parts import PartStore, part_store


@dataclass(frozen=True)
class StorageConfig:
    """A local folder `root`, or the S3 server at `endpoint` when that is set; and the names of the buckets."""

    root: Path
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    imagery: str = "imagery"
    heatmaps: str = "heatmaps"
    reports: str = "reports"
    public_endpoint: str | None = None
    """The address by which clients reach the S3 server, where that is another."""

    @property
    def buckets(self) -> tuple[str, str, str]:
        return self.imagery, self.heatmaps, self.reports

    def where(self, bucket: str, key: str) -> str:
        """How a person finds an object, or a folder of objects."""
        return f"s3://{bucket}/{key}" if self.endpoint else str(self.root / bucket / key)

    def open(self) -> Storage:
        """The back end. Nothing is contacted yet."""
        if self.endpoint:
            from orthoray.storage.s3 import S3Storage  # here: s3fs is slow to import and rarely needed

            return S3Storage(self.endpoint, self.access_key, self.secret_key, region=self.region)
        from orthoray.storage.local import LocalStorage

        return LocalStorage(self.root)

    def open_parts(self, storage: Storage) -> PartStore:
        """What takes objects in parts for the storage that `open` gave."""
        return part_store(storage, self.public_endpoint)


@cache
def opened(config: StorageConfig) -> Storage:
    """One back end for the process, for what opens storage again and again: connections to S3 are kept."""
    return config.open()
