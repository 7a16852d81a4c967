"""`python -m serve_app.gateway.graph`: the schema, as docs/reference/graphql.graphql has it."""

from __future__ import annotations

import sys

from serve_app.gateway.graph.schema import build_schema

if __name__ == "__main__":
    sys.stdout.write(build_schema().as_str() + "\n")
