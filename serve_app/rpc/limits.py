"""How large messages are. Light, for whoever only prepares an environment imports it."""

from __future__ import annotations

# Serve's own is 2 GiB; this is what gRPC clients take by themselves.
MAX_MESSAGE_BYTES = 4 * 1024**2


def grpc_environment() -> dict[str, str]:
    """What every node must find in its environment before Ray is imported."""
    return {"RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(MAX_MESSAGE_BYTES)}
