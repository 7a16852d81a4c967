"""Bodies and headers that are made to do harm: a clear 4xx, and nothing is left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.gateway.uploads import MAX_FIELD_BYTES, MAX_FIELDS

FORM = "multipart/form-data; boundary=b"
AN_ID = "9b2f0a56-6a3b-4c5e-9d9f-0d9c6f6a1c11"


def part(headers: str, content: str = "x") -> str:
    return f"--b\r\n{headers}\r\n\r\n{content}\r\n"


def field(name: str, content: str = "x") -> str:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


def file(name: str) -> str:
    return part(f'Content-Disposition: form-data; name="file"; filename="{name}"')


FORMS = {
    "no parts": "--b--",
    "no end": file("a.png")[:-4],
    "no boundary": "nothing of the kind",
    "many fields": "".join(field(f"f{n}") for n in range(MAX_FIELDS + 1)) + file("a.png"),
    "a long field": field("bands", "x" * (MAX_FIELD_BYTES + 1)) + file("a.png"),
    "many files": "".join(file(f"{n}.png") for n in range(100)),
    "many headers": part("\r\n".join(f"X-{n}: y" for n in range(100))),
    "a long header": part("X-Long: " + "y" * 100_000),
    "a long header name": part("X" * 100_000 + ": y"),
    "no name": part("Content-Disposition: form-data"),
    "no disposition": part("Content-Type: image/png"),
    "bad header": part("Content Disposition"),
    "nul": file("a\0b.png"),
    "no utf-8": file("a\udcff.png"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_forms_that_are_none(house: Any, kind: str) -> None:
    content = (FORMS[kind] + "--b--\r\n").encode("utf-8", "surrogateescape")
    answer = house.client.post("/imagery", content=content, headers={"Content-Type": FORM})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["detail"]
    assert house.objects == []


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 300,
     "multipart/form-data; boundary=é", "multipart/form-data; boundary=b; charset=nonsense"],
)  # fmt: skip
def test_boundaries_that_are_none(house: Any, content_type: str) -> None:
    headers = {"Content-Type": content_type.encode("latin-1")}
    answer = house.client.post("/imagery", content=file("a.png"), headers=headers)
    assert 400 <= answer.status_code < 500, answer.text


BODIES = {
    "deep list": "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "deep and whole": "[" * 5000 + "]" * 5000,
    "a long number": '{"imagery_id": ' + "9" * 100_000 + "}",
    "a large exponent": '{"imagery_id": 1e999999999}',
    "not a number": '{"imagery_id": NaN}',
    "many keys": "{" + ",".join(f'"k{n}":1' for n in range(50_000)) + "}",
    "half a surrogate": '{"imagery_id": "\\ud800"}',
    "nul": '{"imagery_id": "\\u0000"}',
    "a long list": f'{{"imagery_id": "{AN_ID}", "scale": [' + ",".join(["1"] * 100_000) + "]}",
    "many constants": f'{{"imagery_id": "{AN_ID}", "constants": {{' + ",".join(f'"c{n}":1' for n in range(999)) + "}}",
    "a long formula": f'{{"imagery_id": "{AN_ID}", "expression": "' + "(" * 30_000 + '"}',
    "a deep formula": f'{{"imagery_id": "{AN_ID}", "index_type": "expr", "expression": "' + "(" * 9_000 + '"}',
}  # fmt: skip


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("path", ["/analysis-runs", "/reports", "/imagery/uploads"])
def test_json_that_is_made_to_do_harm(house: Any, kind: str, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = house.client.post(path, content=BODIES[kind], headers=headers)
    assert answer.status_code in {400, 404, 413, 422}, answer.text
    assert len(answer.content) < 20_000, "what is wrong is told, not repeated"


LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=100)
SOME = {"max_examples": 60, "deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
NAMES = [
    "Range",
    "If-Range",
    "If-None-Match",
    "Accept",
    "Prefer",
    "Authorization",
    "X-Request-ID",
    "traceparent",
]


@settings(**SOME)
@given(
    st.dictionaries(
        st.sampled_from(NAMES), LATIN | st.from_regex(r"bytes=[0-9]*-[0-9]*(,[0-9]*-)?", fullmatch=True)
    )
)
def test_whatever_the_headers_say(house: Any, values: dict[str, str]) -> None:
    imagery = house.upload().json()["id"]
    headers = {name: value.encode("latin-1") for name, value in values.items()}
    for path in (f"/imagery/{imagery}/content", "/imagery", "/openapi.json"):
        answer = house.client.get(path, headers=headers)
        assert answer.status_code in {200, 206, 304, 416}, (path, answer.text)


@settings(**SOME)
@given(LATIN, st.binary(max_size=300))
def test_whatever_a_form_says(house: Any, disposition: str, rest: bytes) -> None:
    head = f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode("latin-1")
    answer = house.client.post("/imagery", content=head + rest, headers={"Content-Type": FORM})
    assert 400 <= answer.status_code < 500, answer.text


@settings(**SOME)
@given(st.text(max_size=300))
def test_whatever_a_file_is_called(house: Any, name: str) -> None:
    """As it was sent, or as a part of a form can have it: it is cleaned, or refused."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
    body = (
        part(f'Content-Disposition: form-data; name="file"; filename="{quoted}"', "PIXELS") + "--b--\r\n"
    ).encode("utf-8", "surrogatepass")
    answer = house.client.post(
        "/imagery", content=body.replace(b"PIXELS", house.png), headers={"Content-Type": FORM}
    )
    assert answer.status_code in {201, 400, 415, 422}, answer.text
    if answer.status_code == 201:
        found = house.client.get(f"/imagery/{answer.json()['id']}/content")
        assert found.status_code == 200
        assert found.headers["content-disposition"].startswith("attachment; filename=")


@settings(**SOME)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=20,
    ),
    st.sampled_from(
        ["index_type", "bands", "thresholds", "scale", "stretch", "soil_mask", "constants", "crop", "x"]
    ),
)
def test_whatever_json_says(house: Any, value: Any, name: str) -> None:
    imagery = house.upload().json()["id"]
    body = json.dumps({"imagery_id": imagery, name: value})
    answer = house.client.post("/analysis-runs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {202, 400, 422}, answer.text
