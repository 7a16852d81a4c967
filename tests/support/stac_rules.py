"""The rules of STAC 1.1 and of the extensions that we use, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from pystac.validation import validate_dict

from pipelines.stac_fields import EXTENSIONS

SCHEMAS = Path(__file__).parent / "stac"
# Of eo 2.0.0, whose schema is on the network only, as that of projection.
EO_NAMES = {
    "pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge", "rededge071", "rededge075", "rededge078", "nir",
    "nir08", "nir09", "cirrus", "swir16", "swir22", "lwir", "lwir11", "lwir12",
}  # fmt: skip


def expect_valid(thing: dict[str, Any]) -> None:
    """Of an item or a collection, as its file has it."""
    declared = set(thing["stac_extensions"])
    assert declared <= set(EXTENSIONS.values())
    for prefix in ("classification", "processing", "raster"):
        if EXTENSIONS[prefix] in declared:
            Draft7Validator(json.loads((SCHEMAS / f"{prefix}.json").read_text())).validate(thing)
    bands = [band for asset in thing["assets"].values() for band in asset.get("bands", [])]
    names = {band["eo:common_name"] for band in bands if "eo:common_name" in band}
    assert names <= EO_NAMES
    assert (EXTENSIONS["eo"] in declared) == bool(names), "an item of eo has a field of eo"
    validate_dict({**thing, "stac_extensions": []})
