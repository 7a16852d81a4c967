"""Runs over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from orthoray.attempts import Ending

RESULTS = ("heatmap", "index.tif", "statistics", "legend")
LEGACY_FIELDS = {
    "id", "imagery_id", "index_type", "status", "auto_report", "imagery_bucket", "imagery_object_key", "heatmap_bucket",
    "heatmap_key", "stats", "conclusion", "started_at", "completed_at", "error",
}  # fmt: skip


def test_a_run_is_accepted(house: Any) -> None:
    imagery = house.upload().json()
    answer = house.client.post("/analysis-runs", json={"imagery_id": imagery["id"], "auto_report": True})
    run = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/analysis-runs/{run['id']}"
    assert run["status"] == "queued"
    assert run["index_type"] == "NDVI_emp"
    assert run["report_id"]
    assert set(run) >= LEGACY_FIELDS
    assert set(house.client.get(answer.headers["location"]).json()) >= LEGACY_FIELDS


def test_an_index_that_the_bands_do_not_allow(house: Any) -> None:
    imagery = house.upload().json()
    answer = house.client.post("/analysis-runs", json={"imagery_id": imagery["id"], "index_type": "NDVI"})
    assert answer.status_code == 422
    assert answer.json()["missing_bands"] == ["N"]
    assert not house.analysis.rows


def test_a_run_shows_what_it_was_asked(house: Any) -> None:
    asked = {
        "index_type": "expr", "expression": "(G-R)/(G+R+k)", "constants": {"k": 1}, "scale": 0.5, "cmap": "cividis",
        "stretch": "percentile", "blend": 0.5, "soil_mask": {"index_type": "ExG", "above": 5},
    }  # fmt: skip
    run = house.run(**asked, thresholds="quantiles")
    assert run["thresholds"] == "quantiles"
    assert run["warnings"] == []
    for name in set(asked) - {"index_type", "soil_mask"}:
        assert run["options"][name] == asked[name]
    assert run["options"]["soil_mask"]["above"] == 5
    assert house.run()["options"]["raster"] == "float32"
    assert house.run(thresholds=[3, 2, 1])["thresholds"] == [3, 2, 1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"expression": "G/R"}, "expression"),
        ({"index_type": "expr"}, "expression"),
        ({"index_type": "expr", "expression": "x" * 501}, "expression"),
        ({"index_type": "expr", "expression": "G/R\u0000"}, "expression"),
        ({"index_type": "expr", "expression": "G/" + "(" * 200 + "R" + ")" * 200}, ""),
        ({"index_type": "expr", "expression": "G**9**9**9"}, ""),
        ({"constants": {"L": 1}}, "constants"),
        ({"constants": {f"c{number}": 1 for number in range(17)}}, "constants"),
        ({"thresholds": "deciles"}, "quantiles"),
        ({"thresholds": [1, 2]}, "thresholds"),
        ({"scale": "much"}, "scale"),
        ({"scale": [1] * 65}, "scale"),
        ({"blend": 2}, "blend"),
        ({"raster": "uint8"}, "raster"),
        ({"stretch": [1, 2, 3]}, "stretch"),
        ({"soil_mask": {}}, "above"),
        ({"soil_mask": {"above": 0.2, "below": 1}}, "below"),
        ({"soil_mask": {"above": 0.2}}, "N"),
        ({"cmap": "mud"}, "colour map"),
        ({"colour": "green"}, "colour"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_before_there_is_a_run(
    house: Any, body: dict[str, Any], words: str
) -> None:
    answer = house.client.post("/analysis-runs", json={"imagery_id": house.upload().json()["id"], **body})
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert not house.analysis.rows


def test_a_formula_is_told_where_it_is_wrong(house: Any) -> None:
    body = {"index_type": "expr", "expression": "(G-R)/__import__('os')"}
    answer = house.client.post(
        "/analysis-runs", json={"imagery_id": house.upload().json()["id"], **body}
    ).json()
    assert answer["expression"] == body["expression"]
    assert answer["part"] in body["expression"]
    assert answer["position"] == 6


@pytest.mark.parametrize("soil_mask", [False, True])
@pytest.mark.parametrize(("expression", "position"), [("", 0), ("G/R" + "+G" * 249, 500)])
def test_the_place_is_told_of_empty_and_long_formulas_too(
    house: Any, expression: str, position: int, soil_mask: bool
) -> None:
    body: dict[str, Any] = {"index_type": "expr", "expression": expression}
    if soil_mask:
        body = {"soil_mask": {**body, "above": 0}}
    answer = house.client.post("/analysis-runs", json={"imagery_id": house.upload().json()["id"], **body})
    assert answer.status_code == 422
    assert answer.json()["position"] == position
    assert answer.json()["part"] == expression[500:]


@pytest.mark.parametrize("what", RESULTS)
def test_results_of_a_run_under_way_are_409(house: Any, what: str) -> None:
    run = house.run()
    answer = house.client.get(f"/analysis-runs/{run['id']}/{what}")
    assert answer.status_code == 409
    assert answer.json()["run_status"] == "queued"


def test_results_of_a_failed_run_are_409_with_the_reason(house: Any) -> None:
    run = house.run()
    asyncio.run(house.analysis.start_run(UUID(run["id"])))
    damaged = Ending(outcome="failed", reason="The image is damaged.")
    asyncio.run(house.analysis.end_attempt(UUID(run["id"]), 1, damaged))
    for what in RESULTS:
        answer = house.client.get(f"/analysis-runs/{run['id']}/{what}")
        assert answer.status_code == 409
        assert "The image is damaged." in answer.json()["detail"]


def test_results_of_a_completed_run(house: Any) -> None:
    place = f"/analysis-runs/{house.run(completed=True)['id']}"
    run = house.client.get(place).json()
    assert run["status"] == "completed"
    assert run["progress"] == 1
    assert house.client.get(f"{place}/heatmap").headers["content-type"] == "image/png"
    assert house.client.get(f"{place}/statistics").json() == run["statistics"]
    drawn = house.client.get(f"{place}/legend")
    assert drawn.headers["content-type"] == "image/png"
    assert drawn.content.startswith(b"\x89PNG")
    told = house.client.get(f"{place}/legend", headers={"Accept": "application/json"})
    assert told.json() == run["legend"]


def test_expand_brings_imagery_and_report(house: Any) -> None:
    run = house.run(completed=True)
    place = f"/analysis-runs/{run['id']}"
    assert not {"imagery", "report"} & set(house.client.get(place).json())
    empty = house.client.get(f"{place}?expand=imagery,report").json()
    assert empty["imagery"]["id"] == run["imagery_id"]
    assert empty["report"] is None
    report = house.report_of(run)
    full = house.client.get(f"{place}?expand=report, imagery").json()
    assert full["report"]["id"] == report["id"]


def test_expand_of_a_run_whose_imagery_is_gone(house: Any) -> None:
    run = house.run()
    house.imagery.rows.clear()
    assert house.client.get(f"/analysis-runs/{run['id']}?expand=imagery").json()["imagery"] is None


def test_delete_cancels_first_and_removes_then(house: Any) -> None:
    place = f"/analysis-runs/{house.run()['id']}"
    cancelled = house.client.delete(place)
    assert cancelled.status_code == 202
    assert cancelled.json()["status"] == "cancelled"
    assert house.client.get(place).json()["status"] == "cancelled"
    assert house.client.delete(place).status_code == 204
    assert house.client.get(place).status_code == 404


def test_runs_are_listed_by_imagery_and_status(house: Any) -> None:
    first, second = house.run(), house.run(completed=True)
    assert [run["id"] for run in house.client.get("/analysis-runs").json()["items"]] == [
        second["id"],
        first["id"],
    ]
    by_imagery = house.client.get("/analysis-runs", params={"imagery_id": first["imagery_id"]}).json()
    assert [run["id"] for run in by_imagery["items"]] == [first["id"]]
    by_status = house.client.get("/analysis-runs?status=completed").json()
    assert [run["id"] for run in by_status["items"]] == [second["id"]]
    assert "status=completed" not in house.client.get("/analysis-runs?limit=1").headers["link"]


def test_the_report_of_a_run(house: Any) -> None:
    run = house.run()
    early = house.client.post("/reports", json={"analysis_run_id": run["id"]})
    assert early.status_code == 409
    run = house.run(completed=True)
    answer = house.client.post("/reports", json={"analysis_run_id": run["id"], "language": "ro"})
    place = answer.headers["location"]
    assert answer.status_code == 202
    assert place == f"/reports/{answer.json()['id']}"
    assert (
        house.client.post("/reports", json={"analysis_run_id": run["id"], "language": "ro"}).json()
        == answer.json()
    )
    waiting = house.client.get(f"{place}/pdf")
    assert waiting.status_code == 409
    assert waiting.json()["report_status"] == "queued"
    assert [
        one["id"] for one in house.client.get(f"/reports?analysis_run_id={run['id']}").json()["items"]
    ] == [answer.json()["id"]]
    assert house.client.delete(place).status_code == 204
    assert house.client.get(place).status_code == 404


def test_the_pdf_of_a_completed_report(house: Any) -> None:
    report = house.report_of(house.run(completed=True), completed=True)
    answer = house.client.get(f"/reports/{report['id']}/pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")
