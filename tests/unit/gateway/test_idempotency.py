"""POST with an Idempotency-Key, over services in memory."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute

from orthoray.errors import Impossible, OrthoRayError, Unavailable
from orthoray.idempotency import checked_key, fingerprint_of
from orthoray.ports import Caller
from serve_app.gateway import idempotency
from serve_app.gateway.audit import READ_BY_POST
from serve_app.gateway.idempotency import IdempotentRoute

KEY = {"Idempotency-Key": "4f8a"}


def begin_run(house: Any, body: dict[str, Any], key: str = "4f8a", **headers: str) -> Any:
    return house.client.post("/analysis-runs", json=body, headers={"Idempotency-Key": key, **headers})


@pytest.fixture
def body(house: Any) -> dict[str, Any]:
    return {"imagery_id": house.upload().json()["id"], "index_type": "NDVI_emp"}


def test_a_repeat_gets_the_first_answer(house: Any, body: dict[str, Any]) -> None:
    first, again = begin_run(house, body), begin_run(house, body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    for name in ("location", "content-type", "cache-control", "x-content-type-options"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(house.analysis.rows) == 1
    other = begin_run(house, body, key="another")
    assert other.json()["id"] != first.json()["id"]
    assert begin_run(house, body, key='"4f8a"').content == first.content  # as RFC 9651 writes strings


@pytest.mark.parametrize("change", ["body", "path", "query"])
def test_another_request_with_the_same_key_is_refused(house: Any, body: dict[str, Any], change: str) -> None:
    begin_run(house, body)
    path = {"path": "/reports", "query": "/analysis-runs?x=1"}.get(change, "/analysis-runs")
    sent = {**body, "language": "en"} if change == "body" else body
    answer = house.client.post(path, json=sent, headers=KEY)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:orthoray:KeyReused")
    assert len(house.analysis.rows) == 1
    assert begin_run(house, body).headers["idempotency-replayed"] == "true"


def test_while_the_first_is_under_way_others_wait(house: Any, body: dict[str, Any]) -> None:
    within: list[Any] = []
    genuine = house.analysis.create

    async def slow(*args: Any) -> Any:
        within.append(begin_run(house, body))
        within.append(begin_run(house, {**body, "language": "en"}))
        return await genuine(*args)

    house.analysis.create = slow
    assert begin_run(house, body).status_code == 202
    busy, other = within
    assert (busy.status_code, busy.json()["type"]) == (409, "urn:orthoray:InFlight")
    assert busy.headers["retry-after"] == "7"
    assert other.status_code == 422
    assert len(house.analysis.rows) == 1


@pytest.mark.parametrize("error", [Impossible("no"), OrthoRayError("x"), RuntimeError("x"), Unavailable()])
def test_what_failed_may_be_tried_again(house: Any, body: dict[str, Any], error: Exception) -> None:
    house.analysis.error = error
    assert begin_run(house, body).status_code >= 400
    house.analysis.error = None
    is_refusal = isinstance(error, Impossible)
    other = begin_run(house, {**body, "language": "en"})
    assert other.status_code == (202 if is_refusal else 422)
    again = begin_run(house, body)
    assert again.status_code == (422 if is_refusal else 202)
    assert len(house.analysis.rows) == 1


@pytest.mark.parametrize("sent", [{"json": {"colour": "red"}}, {"content": b"{"}])
def test_what_does_not_fit_leaves_the_key_free(
    house: Any, body: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert house.client.post("/analysis-runs", headers=KEY, **sent).status_code >= 400
    assert house.imagery.claims == {}
    assert begin_run(house, body).status_code == 202


def test_an_answer_that_was_lost_is_found_by_its_id(house: Any, body: dict[str, Any]) -> None:
    """The gateway dies between the work and the record of it."""
    keep, house.imagery.keep_answer = house.imagery.keep_answer, None
    assert begin_run(house, body).status_code == 500
    house.imagery.keep_answer = keep
    (run_id,) = house.analysis.rows
    again = begin_run(house, body)
    assert (again.status_code, again.json()["id"]) == (202, str(run_id))
    assert "idempotency-replayed" not in again.headers
    assert begin_run(house, body).headers["idempotency-replayed"] == "true"
    assert len(house.analysis.rows) == 1


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    house: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable

    for name in ("keep_answer", "end_claim"):
        monkeypatch.setattr(house.imagery, name, away)
    assert begin_run(house, body).status_code == 202


def test_a_large_answer_is_made_again(
    house: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWER_BYTES", 10)
    first, again = begin_run(house, body), begin_run(house, body)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in again.headers
    assert len(house.analysis.rows) == 1


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, '""', "\t"])
def test_keys_that_cannot_be(house: Any, body: dict[str, Any], key: str) -> None:
    answer = house.client.post(
        "/analysis-runs", json=body, headers=[(b"Idempotency-Key", key.encode("utf-8"))]
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:orthoray:BadInput")
    assert house.analysis.rows == {}


def test_two_keys_are_refused(house: Any, body: dict[str, Any]) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert house.client.post("/analysis-runs", json=body, headers=headers).status_code == 400
    assert checked_key("x" * 255) == "x" * 255


def test_other_methods_do_not_look_at_it(house: Any) -> None:
    assert house.client.get("/imagery", headers={"Idempotency-Key": "a b"}).status_code == 200
    assert house.imagery.claims == {}


def test_a_repeat_needs_the_scope_of_the_first(house: Any, body: dict[str, Any]) -> None:
    begin_run(house, body)
    house.imagery.limited["or_reader"] = Caller(tenant="default", scopes=frozenset({"imagery:read"}))
    assert begin_run(house, body, **{"X-API-Key": "or_reader"}).status_code == 403


def test_where_a_route_looks_at_scopes_itself_they_belong_to_the_request(
    house: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast(dict[str, Any], idempotency.NEEDED), "POST /analysis-runs", ())
    begin_run(house, body)
    house.imagery.limited["or_reader"] = Caller(tenant="default", scopes=frozenset({"imagery:read"}))
    answer = begin_run(house, body, **{"X-API-Key": "or_reader"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:orthoray:KeyReused")


def test_tenants_have_keys_of_their_own(house: Any, body: dict[str, Any]) -> None:
    begin_run(house, body)
    answer = begin_run(house, body, **{"X-API-Key": house.other_key})
    assert answer.status_code == 404, "not the first one's answer"


class TestUploads:
    """Files are told apart by their digests, which are known when they have been received."""

    def send(self, house: Any, content: bytes | None = None, name: str = "field.png", **fields: str) -> Any:
        files = {"file": (name, house.png if content is None else content)}
        return house.client.post("/imagery", files=files, data=fields, headers=KEY)

    def test_a_repeat_gets_the_first_answer_and_leaves_no_second_file(self, house: Any) -> None:
        first = self.send(house, sensor="")
        again = self.send(house)  # with another boundary, and an empty field that says nothing
        assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert len(house.imagery.rows) == 1
        assert len(house.objects) == 2, "the file and its thumbnail"

    def test_other_content_name_or_fields_are_refused(self, house: Any) -> None:
        self.send(house)
        before = house.objects
        for other in (
            self.send(house, name="other.png"),
            self.send(house, gps_lat="1", gps_lon="2"),
            self.send(house, content=house.png + b"\0"),
        ):
            assert (other.status_code, other.json()["type"]) == (422, "urn:orthoray:KeyReused")
        assert house.objects == before

    def test_an_answer_that_was_lost_is_found_by_its_id(self, house: Any) -> None:
        keep, house.imagery.keep_answer = house.imagery.keep_answer, None
        assert self.send(house).status_code == 500
        house.imagery.keep_answer = keep
        ((imagery_id),) = house.imagery.rows
        assert self.send(house, name="other.png").status_code == 422
        again = self.send(house)
        assert (again.status_code, again.json()["id"]) == (201, str(imagery_id))
        assert len(house.objects) == 2
        assert house.client.get(f"/imagery/{imagery_id}/content").content == house.png

    def test_what_failed_leaves_no_file_and_may_be_tried_again(self, house: Any) -> None:
        house.imagery.error = Unavailable()
        assert self.send(house).status_code == 503
        house.imagery.error = None
        assert self.send(house).status_code == 201
        assert len(house.imagery.rows) == 1

    def test_no_image_leaves_the_key_free(self, house: Any) -> None:
        assert self.send(house, content=b"no image").status_code == 415
        assert house.objects == []
        assert self.send(house).status_code == 201

    def test_an_upload_in_parts_begins_once(self, house: Any) -> None:
        wish = {"filename": "field.png", "size": len(house.png)}
        first, again = (house.client.post("/imagery/uploads", json=wish, headers=KEY) for _ in range(2))
        assert first.json() == again.json()
        assert len(house.imagery.uploads) == 1


def test_the_graph_repeats_what_went_well_only(house: Any, body: dict[str, Any]) -> None:
    run = begin_run(house, body).json()
    headers = {"Idempotency-Key": "graph"}
    for number, is_replayed in ((uuid4(), False), (run["id"], True)):
        query = {"query": f'{{ run(id: "{number}") {{ status }} }}'}
        first, again = (house.client.post("/graphql", json=query, headers=headers) for _ in range(2))
        assert first.json() == again.json()
        assert ("idempotency-replayed" in again.headers) == is_replayed
        headers = {"Idempotency-Key": "other"}


def test_every_post_honours_keys(house: Any) -> None:
    routes = [
        route
        for entry in house.app.routes
        for route in (entry.original_router.routes if hasattr(entry, "original_router") else [entry])
    ]
    posts = [route for route in routes if isinstance(route, APIRoute) and "POST" in route.methods]
    assert len(posts) >= 5
    plain = {route.path_format for route in posts if not isinstance(route, IdempotentRoute)}
    assert plain == READ_BY_POST


def test_fingerprints_tell_lists_of_lines_apart() -> None:
    assert fingerprint_of("POST", "/", ["a", "b"]) != fingerprint_of("POST", "/", ["a\n1:b"])
    assert fingerprint_of("POST", "/a", b"") != fingerprint_of("POST", "/", b"a")
