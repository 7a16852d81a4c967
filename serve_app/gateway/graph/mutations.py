"""What can be changed: the same calls of the same services as REST makes. Each change is told in the audit (`guard`)."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

import strawberry
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from orthoray import contracts
from orthoray.errors import Impossible
from serve_app.gateway.graph.guard import guarded
from serve_app.gateway.graph.mirror import sent
from serve_app.gateway.graph.scalars import RunStatus
from serve_app.gateway.graph.types import AnalysisRun, Info, Report, mirrors
from serve_app.gateway.problems import misfits

Request = TypeVar("Request", bound=BaseModel)


@mirrors.input(contracts.AnalysisRequest)
class AnalysisRequestInput: ...


@mirrors.input(contracts.ReportRequest)
class ReportRequestInput: ...


@strawberry.type(description="What was deleted.")
class Deletion:
    id: UUID


@strawberry.type(description="What became of a run.")
class RunDeletion:
    id: UUID
    status: RunStatus | None = strawberry.field(
        description="CANCELLED: it was not finished, and is there still; null: it is deleted"
    )


def _checked(contract: type[Request], given: Any) -> Request:
    """
    Raises:
        Impossible: as REST refuses it, with `errors`.
    """
    try:
        return contract.model_validate(sent(given))
    except ValidationError as error:
        errors = misfits(error.errors())
        for each in errors:
            # Not what a client named themselves, such as a constant L.
            each["where"] = ".".join(
                to_camel(part) if "_" in part else part for part in each["where"].split(".")
            )
        raise Impossible(f"{errors[0]['where']}: {errors[0]['problem']}", errors=errors) from None


@strawberry.type(
    description="What can be changed, one after the other. A field that fails is null, and `errors` says why."
)
class Mutation:
    @guarded("Analyse an image.")
    async def request_analysis(self, info: Info, input: AnalysisRequestInput) -> AnalysisRun | None:
        request = _checked(contracts.AnalysisRequest, input)
        record: Any = await info.context.services.analysis.create(info.context.tenant, request)
        info.context.location = f"/analysis-runs/{record.id}"
        run: AnalysisRun = record
        return run

    @guarded("Cancel a run that is not finished, delete one that is.")
    async def delete_run(self, info: Info, id: UUID) -> RunDeletion | None:
        status = await info.context.services.analysis.delete(info.context.tenant, id)
        return RunDeletion(id=id, status=RunStatus(status) if status else None)

    @guarded("Ask for the PDF of a completed run: one per run and language.")
    async def request_report(self, info: Info, input: ReportRequestInput) -> Report | None:
        request = _checked(contracts.ReportRequest, input)
        record: Any = await info.context.services.report.create(info.context.tenant, request)
        info.context.location = f"/reports/{record.id}"
        report: Report = record
        return report

    @guarded("Delete a report.")
    async def delete_report(self, info: Info, id: UUID) -> Deletion | None:
        await info.context.services.report.delete(info.context.tenant, id)
        return Deletion(id=id)

    @guarded("Delete an image with its runs and reports.")
    async def delete_imagery(self, info: Info, id: UUID) -> Deletion | None:
        await info.context.services.imagery.delete(info.context.tenant, id)
        return Deletion(id=id)
