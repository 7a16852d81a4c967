"""What clients may keep, and how they ask whether it is still right."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.gateway.caching import IMMUTABLE, REVALIDATED, is_known


def test_json_is_304_for_those_who_have_it(house: Any) -> None:
    run = house.run(completed=True)
    for path in (
        "/imagery",
        f"/imagery/{run['imagery_id']}",
        f"/analysis-runs/{run['id']}?expand=imagery",
        "/reports",
        "/indices",
        "/openapi.json",
    ):
        first = house.client.get(path)
        etag = first.headers["etag"]
        assert etag[0] == etag[-1] == '"', "strong"
        for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            again = house.client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), path
            assert again.headers["etag"] == etag
            assert again.headers.get("cache-control") == first.headers.get("cache-control")
            assert "content-type" not in again.headers
        assert house.client.get(path, headers={"If-None-Match": '"x"'}).json() == first.json()
        assert house.client.head(path).headers["etag"] == etag
        assert house.client.head(path, headers={"If-None-Match": etag}).status_code == 304


def test_a_change_changes_the_etag(house: Any) -> None:
    run = house.run()
    path = f"/analysis-runs/{run['id']}"
    before = house.client.get(path)
    house.client.delete(path)
    after = house.client.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert (after.status_code, after.json()["status"]) == (200, "cancelled")


def test_what_never_changes_may_be_kept(house: Any) -> None:
    run = house.run(completed=True)
    report = house.report_of(run, completed=True)
    of_run, of_image = f"/analysis-runs/{run['id']}", f"/imagery/{run['imagery_id']}"
    for path, rule in (
        (f"{of_image}/content", IMMUTABLE),
        (f"{of_image}/thumbnail", IMMUTABLE),
        (f"{of_run}/heatmap", IMMUTABLE),
        (f"{of_run}/index.tif", IMMUTABLE),
        (f"{of_run}/statistics", IMMUTABLE),
        (f"{of_run}/legend", IMMUTABLE),
        (f"/reports/{report['id']}/pdf", REVALIDATED),
        (of_run, "no-store"),
        ("/analysis-runs", "no-store"),
    ):
        answer = house.client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == rule, path
        assert "X-API-Key" in answer.headers["vary"], path
        again = house.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304, path


def test_errors_and_answers_to_writes_are_not_kept(house: Any) -> None:
    run = house.run()
    for answer in (
        house.upload(),
        house.client.get(f"/analysis-runs/{run['id']}/statistics"),
        house.client.get("/nothing"),
    ):
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"ab"', False),
        ("a", False),
        ("", False),
    ],
)
def test_lists_of_etags(given: str, known: bool) -> None:
    assert is_known(given, '"a"') == known
