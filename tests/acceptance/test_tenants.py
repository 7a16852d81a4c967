"""Two tenants on one running installation: keys from the command line, tokens, rows, objects, the audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from journey import Record, finished, start_run, upload
from scenes import photo
from stack import Stack, eventually, token

ALL = "imagery:read,imagery:write,analysis:run,reports:read,reports:write"


def make_key(stack: Stack, tenant: str, scopes: str = ALL, *options: str) -> str:
    answer = stack.run(
        "key", "create", "--name", f"of {tenant}", "--scope", scopes, "--tenant", tenant, *options
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("or_")
    return answer.stdout.strip()


def client(stack: Stack, key: str) -> httpx2.Client:
    return httpx2.Client(base_url=stack.url, headers={"X-API-Key": key}, timeout=60)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "field.jpg"
    path.write_bytes(photo())
    return path


@pytest.fixture
def farm(stack: Stack) -> Iterator[httpx2.Client]:
    with client(stack, make_key(stack, "farm", ALL, "--expires", "1h")) as api:
        yield api


@pytest.fixture
def coop(stack: Stack) -> Iterator[httpx2.Client]:
    with client(stack, make_key(stack, "coop")) as api:
        yield api


def analysed(api: httpx2.Client, image: Path) -> tuple[Record, Record, Record]:
    imagery = upload(api, image.name, image)
    run = finished(api, f"/analysis-runs/{start_run(api, imagery['id'], auto_report=True)['id']}")
    return imagery, run, finished(api, f"/reports/{run['report_id']}")


def test_tenants_share_nothing(stack: Stack, farm: httpx2.Client, coop: httpx2.Client, image: Path) -> None:
    imagery, run, report = analysed(farm, image)
    own = upload(coop, image.name, image)
    paths = [
        f"/imagery/{imagery['id']}",
        f"/imagery/{imagery['id']}/content",
        f"/imagery/{imagery['id']}/thumbnail",
        f"/analysis-runs/{run['id']}",
        f"/analysis-runs/{run['id']}/heatmap",
        f"/analysis-runs/{run['id']}/index.tif",
        f"/reports/{report['id']}",
        f"/reports/{report['id']}/pdf",
    ]
    with stack.client() as default:
        for stranger in (coop, default):
            for path in paths:
                assert stranger.get(path).status_code == 404, path
            for path in (paths[0], paths[3], paths[6]):
                assert stranger.delete(path).status_code == 404, path
            body = {"imagery_id": imagery["id"], "index_type": "NDVI_emp"}
            assert stranger.post("/analysis-runs", json=body).status_code == 404
            assert stranger.post("/reports", json={"analysis_run_id": run["id"]}).status_code == 404
        listed = [record["id"] for record in default.get("/imagery", params={"limit": 200}).json()["items"]]
        assert not {imagery["id"], own["id"]} & set(listed)
    for path in paths:
        assert farm.get(path).status_code == 200, path
    assert [record["id"] for record in coop.get("/imagery").json()["items"]] == [own["id"]]
    assert coop.get("/analysis-runs").json()["items"] == coop.get("/reports").json()["items"] == []
    assert [record["id"] for record in farm.get("/reports").json()["items"]] == [report["id"]]
    for record, name in (
        (imagery, "object_key"),
        (run, "heatmap_key"),
        (run, "index_key"),
        (report, "report_key"),
    ):
        assert record[name].startswith("farm/"), record[name]
    assert own["object_key"].startswith("coop/")
    assert farm.delete(f"/imagery/{imagery['id']}").status_code == 204
    assert coop.get(f"/imagery/{own['id']}/content").content == image.read_bytes()


def test_the_graph_of_one_tenant(stack: Stack, farm: httpx2.Client, coop: httpx2.Client, image: Path) -> None:
    def ask(api: httpx2.Client, query: str, **variables: object) -> Record:
        answer = api.post("/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        found: Record = answer.json()
        return found

    imagery = upload(farm, image.name, image)
    wish = {"imageryId": imagery["id"], "indexType": "NDVI_emp", "autoReport": True}
    start = "mutation ($wish: AnalysisRequestInput!) { requestAnalysis(input: $wish) { id status reportId } }"
    run = ask(farm, start, wish=wish)["data"]["requestAnalysis"]
    finished(farm, f"/analysis-runs/{run['id']}")
    finished(farm, f"/reports/{run['reportId']}")
    query = (
        "query ($id: UUID!) { imagery(id: $id) { sizeBytes runs(status: COMPLETED) { nodes"
        " { id statistics { validPixels } imagery { id } report { id status } reports { nodes { run { id } } } } } } }"
    )
    told = ask(farm, query, id=imagery["id"])["data"]["imagery"]
    (found,) = told["runs"]["nodes"]
    assert told["sizeBytes"] == imagery["size_bytes"]
    assert found["statistics"]["validPixels"] > 0
    assert (found["id"], found["imagery"]) == (run["id"], {"id": imagery["id"]})
    assert found["report"] == {"id": run["reportId"], "status": "COMPLETED"}
    assert found["reports"]["nodes"] == [{"run": {"id": run["id"]}}]
    delete = "mutation ($id: UUID!) { deleteImagery(id: $id) { id } }"
    with stack.client() as default:
        for stranger in (coop, default):
            for text in (query, delete):
                refused = ask(stranger, text, id=imagery["id"])
                assert [error["extensions"]["code"] for error in refused["errors"]] == ["NOT_FOUND"]
    assert ask(farm, delete, id=imagery["id"])["data"]["deleteImagery"] == {"id": imagery["id"]}
    audit = stack.run("audit", "--tenant", "farm", COLUMNS="250").stdout
    assert f"/graphql deleteImagery(id: {imagery['id']})" in audit
    assert f"/graphql requestAnalysis() -> /analysis-runs/{run['id']}" in audit


def test_tokens_open_the_tenant_that_they_name(stack: Stack, image: Path) -> None:
    with httpx2.Client(base_url=stack.url, timeout=60) as api:
        api.headers["Authorization"] = f"Bearer {token('orchard', 'imagery:write imagery:read')}"
        record = upload(api, image.name, image)
        assert record["object_key"].startswith("orchard/")
        answer = api.post("/analysis-runs", json={"imagery_id": record["id"], "index_type": "NDVI_emp"})
        assert (answer.status_code, answer.json()["needed_scopes"]) == (403, ["analysis:run"])
        api.headers["Authorization"] = f"Bearer {token('farm', 'admin')}"
        assert api.get(f"/imagery/{record['id']}").status_code == 404
        api.headers["Authorization"] = f"Bearer {token('farm', 'admin')}x"
        assert api.get("/imagery").status_code == 401


def test_a_key_from_its_making_to_its_end(stack: Stack) -> None:
    key = make_key(stack, "mill", "imagery:read")
    with client(stack, key) as api:
        assert api.get("/imagery").status_code == 200
        assert api.post("/imagery", files={"file": b"x"}).status_code == 403
        listed = stack.run("key", "list", "--tenant", "mill", COLUMNS="200").stdout
        assert listed.count("never") == 1, "its last use"  # it never expires
        answer = stack.run("key", "revoke", key[:10])
        assert (answer.returncode, answer.stdout) == (0, "")
        eventually(lambda: api.get("/imagery").status_code == 401, 20, "its end")
    listed = stack.run("key", "list", "--tenant", "mill", COLUMNS="200").stdout
    assert key[:10] in listed
    assert "revoked" in listed
    assert key not in listed
    told = stack.run("audit", "--tenant", "mill", COLUMNS="200").stdout
    assert "POST /imagery" in told
    assert "403" in told
    refused = stack.run("key", "create", "--name", "x", "--scope", "everything")
    assert refused.returncode == 1
    assert "There is no scope everything" in refused.stderr
