"""The graph over the real services and PostgreSQL."""

from __future__ import annotations

from typing import Any, cast

import pytest
from wired import Services

from orthoray.contracts import ReportRequest
from orthoray.ports import BatchPort, Caller
from orthoray.scopes import ADMIN
from serve_app.gateway.context import Services as Backend
from serve_app.gateway.graph.loaders import GraphContext
from serve_app.gateway.graph.schema import answer, build_schema

pytestmark = pytest.mark.anyio
GRAPH = build_schema()


async def ask(services: Services, tenant: str, query: str, **variables: Any) -> dict[str, Any]:
    backend = Backend(services.imagery, services.analysis, services.report, cast(BatchPort, None))
    context = GraphContext(Caller(tenant=tenant, scopes=frozenset({ADMIN})), backend)
    return (await answer(GRAPH, context, query, variables)).body


async def test_what_belongs_together_comes_together(services: Services) -> None:
    runs = [await services.completed("farm") for _ in range(3)]
    reports = [
        await services.report.create("farm", ReportRequest(analysis_run_id=run.id, language="en"))
        for run in runs
    ]
    query = (
        "{ imageryList(first: 5) { nodes { id sizeBytes runs(first: 2, status: COMPLETED) { nodes { id history { outcome }"
        " statistics { validPixels } imagery { id } reports(first: 3) { nodes { id language run { id } } } } } } } }"
    )
    told = await ask(services, "farm", query)
    assert "errors" not in told
    assert told["data"]["imageryList"]["nodes"] == [
        {
            "id": str(run.imagery_id),
            "sizeBytes": services.image.stat().st_size,
            "runs": {
                "nodes": [
                    {
                        "id": str(run.id),
                        "history": [{"outcome": "COMPLETED"}],
                        "statistics": {"validPixels": 4},
                        "imagery": {"id": str(run.imagery_id)},
                        "reports": {
                            "nodes": [{"id": str(report.id), "language": "EN", "run": {"id": str(run.id)}}],
                        },
                    }
                ]
            },
        }
        for run, report in zip(reversed(runs), reversed(reports), strict=True)
    ]
    assert (await ask(services, "coop", query))["data"] == {"imageryList": {"nodes": []}}


async def test_what_is_changed(services: Services) -> None:
    imagery = await services.register("farm")
    start = 'mutation ($id: UUID!) { requestAnalysis(input: {imageryId: $id, indexType: "NDVI"}) { id status imagery { id } } }'
    run = (await ask(services, "farm", start, id=str(imagery.id)))["data"]["requestAnalysis"]
    assert (run["status"], run["imagery"]["id"]) == ("QUEUED", str(imagery.id))
    cancel = "mutation ($id: UUID!) { deleteRun(id: $id) { id status } }"
    refused = await ask(services, "coop", cancel, id=run["id"])
    assert refused["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert (await ask(services, "farm", cancel, id=run["id"]))["data"]["deleteRun"]["status"] == "CANCELLED"
    told = services.query(
        "imagery", "select tenant_id, path, status, location, ids from audit_log order by began_at"
    )
    assert [(row["tenant_id"], row["path"], row["status"], row["location"]) for row in told] == [
        ("farm", "/graphql requestAnalysis()", 200, f"/analysis-runs/{run['id']}"),
        ("coop", f"/graphql deleteRun(id: {run['id']})", 404, None),
        ("farm", f"/graphql deleteRun(id: {run['id']})", 200, None),
    ]
    assert told[1]["ids"] == {"id": run["id"]}
