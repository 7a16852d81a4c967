"""The type of a fixture of `tests/cluster`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AddNode = Callable[..., Any]
"""`add_node(num_cpus=1, num_gpus=0, resources={}, labels={}, memory=..., object_store_memory=...)`: a node of its own in the
cluster, which `cluster.remove_node(node, allow_graceful=False)` kills."""
