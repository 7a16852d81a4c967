"""Every RPC, by everybody who may call it and everybody who may not.

The walk is made from the descriptors, so that a new RPC takes part in it by being there; what it is about needs a line in
`Walk.requests`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from rpc_house import upload_of

from orthoray.errors import NotAuthenticated
from orthoray.scopes import ADMIN, SCOPES, allows
from serve_app.rpc import operations, server
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.operations import RPCS, SAME_AS, Rpc, rpcs_of

PLAIN = [scope for scope in SCOPES if scope != ADMIN]
OK = grpc.StatusCode.OK
LISTINGS = {"ListImagery", "ListRuns", "ListReports"}
# These make something, or tell what everybody may know, so there is nothing of another tenant's that they could be about.
ABOUT_NOTHING = LISTINGS | {"UploadImagery", "ListIndices"}


class Walk:
    """All RPCs, with one of everything to call them on."""

    def __init__(self, house: Any) -> None:
        self.house = house
        run = house.run(completed=True)
        image, report = str(run.imagery_id), str(house.report_of(run).id)
        self.ids = {image, str(run.id), report}
        by_id = {"Imagery": image, "Thumbnail": image, "Report": report}
        self.requests: dict[str, Any] = {
            rpc.name: rpc.request(
                id=next((one for word, one in by_id.items() if word in rpc.name), str(run.id))
            )
            for rpc in RPCS
            if "id" in rpc.request.DESCRIPTOR.fields_by_name
        }
        self.requests |= {
            "ListImagery": pb.ListImageryRequest(),
            "ListRuns": pb.ListRunsRequest(),
            "ListReports": pb.ListReportsRequest(),
            "ListIndices": pb.ListIndicesRequest(),
            "CreateRun": pb.CreateRunRequest(imagery_id=image),
            "CreateReport": pb.CreateReportRequest(analysis_run_id=str(run.id)),
        }

    def rpcs(self) -> Iterator[Rpc]:
        """Those that delete come last."""
        return iter(sorted(RPCS, key=lambda rpc: rpc.name.startswith("Delete")))

    def call(self, rpc: Rpc, key: str | None, request: Any = None) -> tuple[grpc.StatusCode, str]:
        """The status, and all that was answered, as text."""
        method = getattr(self.house.client(key), rpc.name)
        if rpc.takes_stream:
            request = upload_of(("field.png", self.house.png))
        try:
            answer = method(request or self.requests[rpc.name])
            return OK, str(list(answer) if rpc.gives_stream else answer)
        except grpc.RpcError as error:
            return error.code(), str(error)


@pytest.fixture
def walk(house: Any) -> Walk:
    return Walk(house)


@pytest.mark.parametrize("reason", ["unknown", "expired", "revoked"])
def test_refused_credentials_open_nothing(walk: Walk, reason: str) -> None:
    walk.house.imagery.limited["or_refused"] = NotAuthenticated(f"This key is {reason}.")
    walk.house.imagery.writes.clear()
    for rpc in walk.rpcs():
        assert walk.call(rpc, "or_refused")[0] is grpc.StatusCode.UNAUTHENTICATED, rpc.name
        assert walk.call(rpc, None)[0] is grpc.StatusCode.UNAUTHENTICATED, rpc.name
    assert walk.house.imagery.writes == {}


def test_the_wrong_scopes_open_nothing_and_the_missing_one_is_named(walk: Walk) -> None:
    before = len(walk.house.imagery.rows)
    for rpc in walk.rpcs():
        code, answer = walk.call(rpc, walk.house.key(*(set(PLAIN) - set(rpc.scopes))))
        assert code is grpc.StatusCode.PERMISSION_DENIED, rpc.name
        assert all(scope in answer for scope in rpc.scopes), rpc.name
    assert len(walk.house.imagery.rows) == before


@pytest.mark.parametrize("scope", [*PLAIN, ADMIN])
def test_one_scope_opens_all_that_it_is_for_and_nothing_else(walk: Walk, scope: str) -> None:
    key = walk.house.key(scope)
    for rpc in walk.rpcs():
        wanted = OK if allows([scope], rpc.scopes) else grpc.StatusCode.PERMISSION_DENIED
        assert walk.call(rpc, key)[0] is wanted, rpc.name


def test_another_tenant_finds_nothing(walk: Walk) -> None:
    stranger = walk.house.stranger()
    for rpc in walk.rpcs():
        code, answer = walk.call(rpc, stranger)
        assert code is (OK if rpc.name in ABOUT_NOTHING else grpc.StatusCode.NOT_FOUND), rpc.name
        assert rpc.name not in LISTINGS or answer == "", rpc.name
    image = next(iter(walk.ids & {str(one) for one in walk.house.imagery.rows}))
    rpc = next(rpc for rpc in RPCS if rpc.name == "ListIndices")
    assert walk.call(rpc, stranger, pb.ListIndicesRequest(imagery_id=image))[0] is grpc.StatusCode.NOT_FOUND


def test_a_row_that_leads_to_another_tenants_object_leads_nowhere(walk: Walk) -> None:
    rows = walk.house.imagery.rows
    image_id, (_, record) = next(iter(rows.items()))
    rows[image_id] = "another", record
    for rpc in RPCS:
        if rpc.name in {"DownloadImagery", "DownloadThumbnail"}:
            assert walk.call(rpc, walk.house.stranger())[0] is grpc.StatusCode.NOT_FOUND, rpc.name


def test_keys_come_as_bearer_tokens_too(walk: Walk) -> None:
    api = walk.house.client(None, authorization=f"Bearer {walk.house.key('imagery:read')}")
    assert api.ListImagery(pb.ListImageryRequest()).items


def test_each_rpc_needs_what_its_operation_needs() -> None:
    by_name = {rpc.name: rpc for rpc in RPCS}
    assert by_name["DeleteImagery"].scopes == ("imagery:write",)
    assert by_name["WatchRun"].scopes == ("analysis:run", "reports:read")
    assert {rpc.name for rpc in RPCS if rpc.writes} == {
        *("UploadImagery", "DeleteImagery", "CreateRun", "DeleteRun", "CreateReport", "DeleteReport")
    }
    assert all(rpc.scopes for rpc in RPCS)


def test_an_rpc_that_nobody_gave_a_scope_keeps_the_gateway_from_starting() -> None:
    fewer = {name: one for name, one in SAME_AS.items() if name != "DeleteReport"}
    with pytest.raises(RuntimeError, match="DeleteReport"):
        rpcs_of(pb.DESCRIPTOR, fewer)
    with pytest.raises(RuntimeError, match="GetSecrets"):
        rpcs_of(pb.DESCRIPTOR, {**SAME_AS, "GetSecrets": "GET /imagery"})
    with pytest.raises(RuntimeError, match="GET /secrets"):
        rpcs_of(pb.DESCRIPTOR, {**SAME_AS, "GetReport": "GET /secrets"})


def test_the_server_knows_no_service_that_the_walk_does_not() -> None:
    class Registered:
        def __init__(self) -> None:
            self.names: set[str] = set()

        def add_generic_rpc_handlers(self, handlers: Any) -> None:
            self.names |= {path for service in handlers for path in service._method_handlers}

    class Anything:
        def __getattr__(self, name: str) -> Any:
            return lambda request, context: None

    there = Registered()
    server.add_services(Anything(), there)
    health = {f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")}
    assert there.names == {rpc.path for rpc in operations.RPCS} | health
