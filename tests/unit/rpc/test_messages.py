"""Messages say all that records say, by the same names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from pydantic import BaseModel

from orthoray.contracts import (
    AnalysisRequest,
    AnalysisRun,
    Attempt,
    Imagery,
    Report,
    ReportRequest,
    RunStatus,
)
from orthoray.errors import BadInput
from orthoray.options import AnalysisOptions
from pipelines.planning import index_catalogue
from serve_app.gateway.uploads import UploadFields
from serve_app.rpc import orthoray_pb2 as pb
from serve_app.rpc.messages import fields_of, id_of, message_of


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def differences(model: type[BaseModel], message: Descriptor) -> list[str]:
    """Fields that one of the two lacks, however deep."""
    found = [f"{message.name}.{name}" for name in set(model.model_fields) ^ set(message.fields_by_name)]
    for name, field in model.model_fields.items():
        there = message.fields_by_name.get(name)
        if there is not None and there.message_type is not None and there.message_type.file is message.file:
            for inner in models_in(field.annotation):
                found += differences(inner, there.message_type)
    return found


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Imagery, pb.Imagery),
        (AnalysisRun, pb.AnalysisRun),
        (Report, pb.Report),
        (UploadFields, pb.UploadFields),
    ],
)
def test_messages_have_the_fields_of_records(model: type[BaseModel], message: Any) -> None:
    assert differences(model, message.DESCRIPTOR) == []


def test_a_request_has_the_fields_of_the_body() -> None:
    ours = set(pb.CreateRunRequest.DESCRIPTOR.fields_by_name) - {"options"}
    assert ours | set(AnalysisOptions.model_fields) == set(AnalysisRequest.model_fields)


def test_a_request_for_a_report_has_the_fields_of_the_body() -> None:
    assert set(pb.CreateReportRequest.DESCRIPTOR.fields_by_name) == set(ReportRequest.model_fields)


def test_indices_have_the_fields_of_the_catalogue() -> None:
    names = {name for entry in index_catalogue({"R": 1}) for name in entry}
    assert names == set(pb.Index.DESCRIPTOR.fields_by_name)


def test_constants_are_the_words_of_the_api() -> None:
    words = get_args(RunStatus)
    assert [constant.lower() for constant in pb.RunStatus.keys()[1:]] == [
        f"run_status_{word}" for word in words
    ]
    for word in words:
        message = message_of({"status": word}, pb.DeleteRunResponse)
        assert fields_of(message) == {"status": word}


def test_records_go_there_and_back() -> None:
    attempt = Attempt(number=1, started_at=datetime(2026, 5, 1, 12, 0, 0, 123456, UTC), outcome="lost")
    report = Report.model_construct(
        id=id_of("00000000-0000-0000-0000-000000000001"),
        analysis_run_id=id_of("00000000-0000-0000-0000-000000000002"),
        status="failed",
        language="ru",
        stats={"здоровая": 12.5},
        history=[attempt],
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
    )
    again = Report.model_validate(fields_of(message_of(report, pb.Report)))
    assert again.model_dump(exclude_none=True) == report.model_dump(exclude_none=True)
    assert message_of(report, pb.Report, without={"history"}).history == []


def test_what_is_no_json_is_refused() -> None:
    wish = pb.CreateRunRequest()
    wish.thresholds.number_value = float("nan")
    with pytest.raises(BadInput):
        fields_of(wish)
    wrong = pb.ListImageryRequest()
    wrong.captured_after.seconds = 2**62
    with pytest.raises(BadInput):
        fields_of(wrong)


def test_a_field_of_a_later_version_does_no_harm() -> None:
    assert message_of({"id": "x", "invented": {"a": 1}}, pb.Report) == pb.Report(id="x")
    assert json_format.MessageToDict(pb.Report(id="x")) == {"id": "x"}
