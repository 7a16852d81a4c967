"""The documentation speaks of what there is: links lead somewhere, and each reference page names everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest
import typer.main
from graphql import parse, validate

from orthoray.ports import AnalysisPort, BatchPort, ImageryPort, ReportPort
from orthoray.settings import Settings
from orthoray.spectral.expression import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, MAX_LENGTH, MAX_NODES
from orthoray.spectral.indices import CATALOGUE, MAX_CONSTANTS
from orthoray.spectral.terms import FUNCTIONS
from orthoray.spectral.thresholds import CROPS, LEGACY_INDICES
from orthoray.storage.local import LocalStorage
from serve_app.cli import app, keys
from serve_app.gateway.api import create_api
from serve_app.gateway.context import GatewayConfig, Services
from serve_app.gateway.graph import limits
from serve_app.gateway.graph.schema import build_schema
from serve_app.gateway.graph.types import ENTITIES
from serve_app.gateway.scopes import FIELDS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MAX_LINES = 150

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
# A target may hold one pair of parentheses, as some DOIs do.
_LINK = re.compile(r"\[[^\]]*\]\(((?:[^()\s]|\([^()\s]*\))+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its blocks of code, in which brackets are no links and # is no heading."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub makes of a page's headings."""
    headings = (heading.replace("`", "").lower() for heading in _HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in headings}


def relative_links(page: Path) -> Iterator[tuple[str, str]]:
    """(path, fragment) of every link that stays in the repository."""
    for target in _LINK.findall(_CODE.sub("", prose(page))):
        if not re.match(r"[a-z][a-z+.-]*:", target):
            path, _, fragment = target.partition("#")
            yield path, fragment


def missing(names: Iterable[str], page: Path) -> list[str]:
    """Those that a page does not have as a word of its own: `--s3` is not in `--s3-server`."""
    text = page.read_text(encoding="utf-8")
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for path, fragment in relative_links(page):
        target = (page.parent / path).resolve() if path else page
        lost = fragment and target.suffix == ".md" and target.exists() and fragment not in anchors(target)
        if not target.exists() or not target.is_relative_to(ROOT) or lost:
            broken.append(f"{path}#{fragment}".rstrip("#"))
    assert broken == []


def test_the_link_check_sees_links_anchors_and_code(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` and c!\n[x](gone.md#there) `[code](no.md)` [doi](https://doi.org/10.1/a(8)b) ![p](p.png)\n"
        "```sh\n# no heading\n[y](no.md)\n```\n"
    )
    assert list(relative_links(page)) == [("gone.md", "there"), ("p.png", "")]
    assert anchors(page) == {"a-b-and-c"}


def test_every_page_can_be_found_from_the_index() -> None:
    docs = ROOT / "docs"
    seen, waiting = set(), [docs / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            waiting += [
                target
                for path, _ in relative_links(page)
                if (target := (page.parent / path).resolve()).suffix == ".md" and target.is_relative_to(docs)
            ]
    assert [page for page in PAGES if page.is_relative_to(docs) and page not in seen] == []


def test_pages_stay_short() -> None:
    lines = {
        page.name: len(page.read_text(encoding="utf-8").splitlines()) for page in PAGES if page.parent != ROOT
    }
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


@pytest.mark.parametrize(
    "page", [REFERENCE / "settings.md", ROOT / "env.example"], ids=lambda page: page.name
)
def test_every_setting_is_told(page: Path) -> None:
    assert missing([name.upper() for name in Settings.model_fields], page) == []


def test_every_default_is_told_as_it_is() -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    plain = {
        name.upper(): str(setting.default).lower()
        if isinstance(setting.default, bool)
        else str(setting.default)
        for name, setting in Settings.model_fields.items()
        if isinstance(setting.default, str | int)
    }
    assert plain
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)`", text, re.MULTILINE))
    assert {name: told.get(name) for name in plain} == plain


def test_every_route_is_told(tmp_path: Path) -> None:
    # The document is made of the routes alone: no service is called.
    services = Services(
        imagery=cast(ImageryPort, None),
        analysis=cast(AnalysisPort, None),
        report=cast(ReportPort, None),
        batches=cast(BatchPort, None),
    )
    config = GatewayConfig(auth_mode="key", max_upload_bytes=1, imagery_bucket="imagery")
    paths = create_api(services, LocalStorage(tmp_path), config).openapi()["paths"]
    routes = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert len(routes) > 20
    text = "".join(
        (REFERENCE / page).read_text(encoding="utf-8") for page in ("http-api.md", "uploads.md", "stac.md")
    )
    assert [route for route in routes if f"`{route}`" not in text] == []
    assert [told for told in re.findall(r"`((?:GET|POST|DELETE) /[^`?]*)`", text) if told not in routes] == []


def test_the_schema_of_the_graph_is_that_of_the_code() -> None:
    told = (REFERENCE / "graphql.graphql").read_text(encoding="utf-8")
    assert told == build_schema().as_str() + "\n", (
        "run: python -m serve_app.gateway.graph > docs/reference/graphql.graphql"
    )


def test_the_scopes_of_the_graph_are_told() -> None:
    text = (REFERENCE / "graphql.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z]\w+\..*?) \| (.*?) \|$", text, re.MULTILINE)
    told = {
        field: tuple(re.findall(r"`(\w+:\w+)`", scopes))
        for fields, scopes in rows
        for field in re.findall(r"`(.+?)`", fields)
    }
    assert told == dict(FIELDS)


def test_the_limits_of_the_graph_are_told() -> None:
    text = (REFERENCE / "graphql.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+).*? \| ([\d,]+) \|$", text, re.MULTILINE))
    assert rows == {
        "characters": f"{limits.MAX_QUERY:,}",
        "words": f"{limits.MAX_TOKENS:,}",
        "depth": f"{limits.MAX_DEPTH}",
        "aliases": f"{limits.MAX_ALIASES}",
        "cost": f"{limits.MAX_COST:,}",
    }
    costs = (
        limits.COST_OF_RECORD,
        limits.COST_OF_MUTATION,
        limits.COST_OF_INTROSPECTION,
        limits.USUAL_LENGTH,
    )
    told = text.partition("Cost is told")[2].partition("```")[0]
    assert [cost for cost in (*costs, *limits.LENGTHS.values()) if f"{cost:,}" not in told] == []
    (example, cost) = re.findall(r"cost ([\d,]+):\n\n```graphql\n(.*?)\n```", text, re.DOTALL)[0][::-1]
    found = limits.measure(build_schema().core, parse(example), None, {}, records=ENTITIES)
    assert f"{found.cost:,}" == cost


def test_the_queries_of_the_how_to_are_right() -> None:
    text = (ROOT / "docs" / "how-to" / "query-the-graph.md").read_text(encoding="utf-8")
    bodies = re.findall(r"--json '(\{.*\})' \$HOST", text)
    assert len(bodies) > 4
    schema = build_schema().core
    for body in bodies:
        asked = json.loads(re.sub(r"'\$\w+'", "4c4ee1a0-0000-4000-8000-000000000000", body))
        document = parse(asked["query"])
        assert validate(schema, document) == [], body
        variables = asked.get("variables", {})
        limits.check(limits.measure(schema, document, None, variables, records=ENTITIES), introspection=False)


def test_the_indices_that_are_told_are_those_of_the_catalogue() -> None:
    text = (REFERENCE / "indices.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \| ([A-Z][A-Z0-9, ]*) \|", text, re.MULTILINE))
    bands = {index.name: ", ".join(index.bands) for index in CATALOGUE}
    assert {name: bands.get(name) for name in rows} == rows
    assert {"NDVI", "GNDVI", "NDRE", "SAVI", "EVI", *LEGACY_INDICES} <= rows.keys()
    assert f"{len(CATALOGUE)} indices" in text


def test_the_limits_of_formulas_are_told() -> None:
    text = (REFERENCE / "indices.md").read_text(encoding="utf-8")
    limits = re.search(r"^Limits: .*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert limits is not None
    told = {int(number) for number in re.findall(r"\d+", limits[0])}
    assert {MAX_LENGTH, MAX_DEPTH, MAX_NODES, MAX_DIGITS, int(MAX_EXPONENT), MAX_CONSTANTS} <= told
    assert missing(FUNCTIONS, REFERENCE / "indices.md") == []


def test_every_crop_is_told_with_its_thresholds() -> None:
    text = (REFERENCE / "statistics-and-classes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    told = {name: tuple(map(float, cuts)) for name, *cuts in rows if name in {crop.name for crop in CROPS}}
    assert told == {crop.name: (crop.healthy, crop.stressed, crop.stressed / 2) for crop in CROPS}


def test_every_command_and_option_is_told() -> None:
    pages = [REFERENCE / f"{name}.md" for name in ("cli", "cli-of-clusters", "credentials", "doctor")]
    commands = typer.main.get_group(app).commands
    assert commands
    told = {" ".join(heading.split()[:2]) for page in pages for heading in _HEADING.findall(prose(page))}
    assert [name for name in commands if f"orthoray {name}" not in told] == []
    options = {
        option
        for command in [*commands.values(), *typer.main.get_group(keys).commands.values()]
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-") and not getattr(parameter, "hidden", False)
    }
    assert set.intersection(*(set(missing(options, page)) for page in pages)) == set()
