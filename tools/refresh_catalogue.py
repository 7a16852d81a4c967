"""Make `orthoray/spectral/data/indices.json` anew from the data files of an installed spyndex.

Run `uv run python tools/refresh_catalogue.py` after another version of spyndex was chosen in pyproject.toml, look at
what changed, and complete `additions.json` for the indices that are new. Only data is read: spyndex is not imported.
"""

from __future__ import annotations

import json
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from orthoray.spectral.catalogue import DATA, defaults_of, read, split
from orthoray.spectral.expression import parse
from orthoray.spectral.indices import derived

FIELDS = (
    "short_name",
    "long_name",
    "formula",
    "bands",
    "reference",
    "application_domain",
    "contributor",
    "platforms",
    "date_of_addition",
)


def listed(package: Distribution) -> dict[str, Any]:
    """The list as we keep it: the fields of `FIELDS` and, for each formula, what is derived from it."""
    constants = {name: constant["default"] for name, constant in _data(package, "constants.json").items()}
    additions = read("additions.json")
    defaults = defaults_of(constants, additions)
    indices = []
    for index in _data(package, "spectral-indices-dict.json")["SpectralIndices"].values():
        added = additions["indices"].get(index["short_name"], {})
        arrays, values = split(index["bands"], defaults, added)
        needs_reflectance, value_range = derived(parse(index["formula"], bands=arrays, constants=values))
        indices.append(
            {field: index[field] for field in FIELDS}
            | {"needs_reflectance": needs_reflectance, "value_range": value_range}
        )
    return {
        "source": f"Awesome Spectral Indices by David Montero Loaiza, from spyndex {package.version}",
        "homepage": "https://github.com/awesome-spectral-indices/awesome-spectral-indices",
        "citation": "Montero et al. 2023, https://doi.org/10.1038/s41597-023-02096-0",
        "license": (package.read_text("licenses/LICENSE") or "").splitlines(),
        "derived": "needs_reflectance and value_range are computed by tools/refresh_catalogue.py",
        "bands": list(_data(package, "bands.json")),
        "constants": constants,
        "indices": indices,
    }


def _data(package: Distribution, name: str) -> Any:
    return json.loads(Path(str(package.locate_file(f"spyndex/data/{name}"))).read_text(encoding="utf-8"))


def text(data: dict[str, Any]) -> str:
    """JSON with one index a line, so that a difference shows which index changed."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in data.items() if key != "indices"]
    indices = ",\n".join(f"  {json.dumps(index)}" for index in data["indices"])
    return "\n".join(["{", *lines, ' "indices": [', indices, " ]", "}", ""])


if __name__ == "__main__":
    (DATA / "indices.json").write_text(text(listed(distribution("spyndex"))), encoding="utf-8")
