"""The servers that a local installation brings along: PostgreSQL, and on wish an S3 server.

Everything they keep lies below one home folder, and the home belongs to whoever holds its locks: a second
start with the same home is refused, a start after a crash first ends what the crash left running.
"""

from serve_app.local.objectstore import EmbeddedS3, S3Facts
from serve_app.local.postgres import EmbeddedPostgres, PostgresFacts

__all__ = ["EmbeddedPostgres", "EmbeddedS3", "PostgresFacts", "S3Facts"]
