"""Where files lie: one port (`Storage`), a local folder, an S3 server, and a dictionary for tests.

`S3Storage` is imported from `orthoray.storage.s3`, because s3fs is slow to import and a local installation
does without it.
"""

from orthoray.storage.base import CHUNK_BYTES, ObjectInfo, ObjectStat, Storage
from orthoray.storage.config import StorageConfig
from orthoray.storage.keys import check_bucket, check_folder, check_key, check_prefix, safe_filename
from orthoray.storage.local import LocalStorage
from orthoray.storage.memory import MemoryStorage

__all__ = [
    "CHUNK_BYTES",
    "LocalStorage",
    "MemoryStorage",
    "ObjectInfo",
    "ObjectStat",
    "Storage",
    "StorageConfig",
    "check_bucket",
    "check_folder",
    "check_key",
    "check_prefix",
    "safe_filename",
]
