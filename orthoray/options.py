"""What a caller may ask of an analysis beside the index: the part of the public contract that a run keeps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

# A database stores no NUL, and no name of ours has control characters.
PLAIN_TEXT = r"^[^\x00-\x1f\x7f]*$"
# Far above what a formula may have, which its parser tells with the place; this only bounds what is parsed.
MAX_EXPRESSION = 20_000
MAX_CONSTANTS = 16
MAX_BANDS = 64

RasterType = Literal["float32", "int16"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=PLAIN_TEXT)]
# What may stand in a formula is told by its parser, which points at the place.
Formula = Annotated[str, Field(max_length=MAX_EXPRESSION)]
Constants = Annotated[dict[Name, Number], Field(max_length=MAX_CONSTANTS)]


def _one_of(message: str) -> WrapValidator:
    """One sentence for a person, where pydantic would tell what is wrong with each of several alternatives."""

    def check(value: Any, inner: Any) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise PydanticCustomError("alternatives", "Give {wanted}", {"wanted": message}) from None

    return WrapValidator(check)


PerBand = Annotated[
    Number | Annotated[list[Number], Field(min_length=1, max_length=MAX_BANDS)],
    _one_of("one finite number for all bands, or a list with one for each band of the image"),
]
Thresholds = Annotated[
    Annotated[list[Number], Field(min_length=3, max_length=3)] | Literal["quantiles", "jenks"],
    _one_of("three finite numbers above which healthy, mild and severe stress begin, or quantiles, or jenks"),
]
StretchChoice = Annotated[
    Literal["classes", "minmax", "percentile"] | Annotated[list[Number], Field(min_length=2, max_length=2)],
    _one_of("classes, minmax, percentile, or two finite numbers: the lowest and the highest value drawn"),
]


class SoilMask(BaseModel):
    """Which pixels count: those whose index is above a value; the others are background, such as bare soil."""

    model_config = ConfigDict(extra="forbid")

    index_type: Name = "NDVI"
    expression: Formula | None = None
    constants: Constants | None = None
    above: Number


class AnalysisOptions(BaseModel):
    """How an index is computed, judged by its image alone, and drawn; everything is optional."""

    expression: Formula | None = Field(
        default=None, description='the formula of index_type "expr", such as (N-R)/(N+R)'
    )
    constants: Constants | None = Field(default=None, description="constants of the index by name: {L: 0.5}")
    sensor: Name | None = Field(
        default=None, description="a sensor preset that names the bands, instead of the imagery's names"
    )
    scale: PerBand | None = Field(
        default=None, description="value = pixel * scale + offset; instead of what the imagery's record says"
    )
    offset: PerBand | None = None
    raw: bool = Field(
        default=False, description="insist on a raw multispectral capture, whose values mean little"
    )
    soil_mask: SoilMask | None = None
    cmap: Name | None = Field(default=None, description="colour map of the heatmap; NAME_r is reversed")
    stretch: StretchChoice | None = Field(default=None, description="which values the colours span")
    blend: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        default=None, description="opacity of the heatmap over the photo"
    )
    raster: RasterType = Field(default="float32", description="pixels of the index raster")


class AnalysisWish(AnalysisOptions):
    """What is to be computed of an image, whoever asks: a client, a run that waits, the command line."""

    index_type: Name = "NDVI_emp"
    crop: str | None = Field(default=None, max_length=64, pattern=PLAIN_TEXT)
    thresholds: Thresholds | None = Field(
        default=None,
        description="healthy, mild and severe stress begin above these; or how the image itself gives them",
    )
    bands: str | None = Field(
        default=None,
        max_length=512,
        pattern=PLAIN_TEXT,
        description="names of the imagery's bands in order, such as R,G,B,N",
    )

    @property
    def options(self) -> AnalysisOptions:
        """The part that a run keeps as its options."""
        return AnalysisOptions(**{name: getattr(self, name) for name in AnalysisOptions.model_fields})
