import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATUS_UNSPECIFIED: _ClassVar[RunStatus]
    RUN_STATUS_QUEUED: _ClassVar[RunStatus]
    RUN_STATUS_PROCESSING: _ClassVar[RunStatus]
    RUN_STATUS_COMPLETED: _ClassVar[RunStatus]
    RUN_STATUS_FAILED: _ClassVar[RunStatus]
    RUN_STATUS_CANCELLED: _ClassVar[RunStatus]
RUN_STATUS_UNSPECIFIED: RunStatus
RUN_STATUS_QUEUED: RunStatus
RUN_STATUS_PROCESSING: RunStatus
RUN_STATUS_COMPLETED: RunStatus
RUN_STATUS_FAILED: RunStatus
RUN_STATUS_CANCELLED: RunStatus

class FileChunk(_message.Message):
    __slots__ = ("info", "data")
    INFO_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    info: FileInfo
    data: bytes
    def __init__(self, info: _Optional[_Union[FileInfo, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class FileInfo(_message.Message):
    __slots__ = ("filename", "media_type", "size_bytes", "etag", "offset")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    filename: str
    media_type: str
    size_bytes: int
    etag: str
    offset: int
    def __init__(self, filename: _Optional[str] = ..., media_type: _Optional[str] = ..., size_bytes: _Optional[int] = ..., etag: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class Gps(_message.Message):
    __slots__ = ("latitude", "longitude", "altitude_m")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    ALTITUDE_M_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    altitude_m: float
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., altitude_m: _Optional[float] = ...) -> None: ...

class Camera(_message.Message):
    __slots__ = ("make", "model", "lens", "serial")
    MAKE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LENS_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    make: str
    model: str
    lens: str
    serial: str
    def __init__(self, make: _Optional[str] = ..., model: _Optional[str] = ..., lens: _Optional[str] = ..., serial: _Optional[str] = ...) -> None: ...

class Asset(_message.Message):
    __slots__ = ("role", "filename", "object_key", "content_type", "size_bytes", "sha256", "band_count", "width", "height", "dtype")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    BAND_COUNT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    role: str
    filename: str
    object_key: str
    content_type: str
    size_bytes: int
    sha256: str
    band_count: int
    width: int
    height: int
    dtype: str
    def __init__(self, role: _Optional[str] = ..., filename: _Optional[str] = ..., object_key: _Optional[str] = ..., content_type: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., band_count: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., dtype: _Optional[str] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("state", "scales", "offsets", "source", "aligned", "reason", "per_band")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SCALES_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ALIGNED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PER_BAND_FIELD_NUMBER: _ClassVar[int]
    state: str
    scales: _containers.RepeatedScalarFieldContainer[float]
    offsets: _containers.RepeatedScalarFieldContainer[float]
    source: str
    aligned: bool
    reason: str
    per_band: bool
    def __init__(self, state: _Optional[str] = ..., scales: _Optional[_Iterable[float]] = ..., offsets: _Optional[_Iterable[float]] = ..., source: _Optional[str] = ..., aligned: _Optional[bool] = ..., reason: _Optional[str] = ..., per_band: _Optional[bool] = ...) -> None: ...

class Imagery(_message.Message):
    __slots__ = ("id", "original_filename", "bucket", "object_key", "content_type", "status", "size_bytes", "sha256", "width", "height", "band_count", "dtype", "assets", "bands", "alpha_band", "bands_source", "bands_reason", "sensor", "sensor_reason", "raw_capture", "calibration", "nodata", "crs", "transform", "footprint", "bounds_wgs84", "gsd_m", "captured_at", "gps", "camera", "created_at")
    class BandsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FILENAME_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    OBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BAND_COUNT_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    ALPHA_BAND_FIELD_NUMBER: _ClassVar[int]
    BANDS_SOURCE_FIELD_NUMBER: _ClassVar[int]
    BANDS_REASON_FIELD_NUMBER: _ClassVar[int]
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    SENSOR_REASON_FIELD_NUMBER: _ClassVar[int]
    RAW_CAPTURE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    NODATA_FIELD_NUMBER: _ClassVar[int]
    CRS_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    FOOTPRINT_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_WGS84_FIELD_NUMBER: _ClassVar[int]
    GSD_M_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    GPS_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    original_filename: str
    bucket: str
    object_key: str
    content_type: str
    status: str
    size_bytes: int
    sha256: str
    width: int
    height: int
    band_count: int
    dtype: str
    assets: _containers.RepeatedCompositeFieldContainer[Asset]
    bands: _containers.ScalarMap[str, int]
    alpha_band: int
    bands_source: str
    bands_reason: str
    sensor: str
    sensor_reason: str
    raw_capture: bool
    calibration: Calibration
    nodata: _struct_pb2.Value
    crs: _struct_pb2.Struct
    transform: _containers.RepeatedScalarFieldContainer[float]
    footprint: _struct_pb2.Struct
    bounds_wgs84: _containers.RepeatedScalarFieldContainer[float]
    gsd_m: float
    captured_at: _timestamp_pb2.Timestamp
    gps: Gps
    camera: Camera
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., original_filename: _Optional[str] = ..., bucket: _Optional[str] = ..., object_key: _Optional[str] = ..., content_type: _Optional[str] = ..., status: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., band_count: _Optional[int] = ..., dtype: _Optional[str] = ..., assets: _Optional[_Iterable[_Union[Asset, _Mapping]]] = ..., bands: _Optional[_Mapping[str, int]] = ..., alpha_band: _Optional[int] = ..., bands_source: _Optional[str] = ..., bands_reason: _Optional[str] = ..., sensor: _Optional[str] = ..., sensor_reason: _Optional[str] = ..., raw_capture: _Optional[bool] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., nodata: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., crs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., transform: _Optional[_Iterable[float]] = ..., footprint: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., bounds_wgs84: _Optional[_Iterable[float]] = ..., gsd_m: _Optional[float] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., gps: _Optional[_Union[Gps, _Mapping]] = ..., camera: _Optional[_Union[Camera, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BoundingBox(_message.Message):
    __slots__ = ("west", "south", "east", "north")
    WEST_FIELD_NUMBER: _ClassVar[int]
    SOUTH_FIELD_NUMBER: _ClassVar[int]
    EAST_FIELD_NUMBER: _ClassVar[int]
    NORTH_FIELD_NUMBER: _ClassVar[int]
    west: float
    south: float
    east: float
    north: float
    def __init__(self, west: _Optional[float] = ..., south: _Optional[float] = ..., east: _Optional[float] = ..., north: _Optional[float] = ...) -> None: ...

class ListImageryRequest(_message.Message):
    __slots__ = ("limit", "next", "bbox", "captured_after", "captured_before")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    BBOX_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    next: str
    bbox: BoundingBox
    captured_after: _timestamp_pb2.Timestamp
    captured_before: _timestamp_pb2.Timestamp
    def __init__(self, limit: _Optional[int] = ..., next: _Optional[str] = ..., bbox: _Optional[_Union[BoundingBox, _Mapping]] = ..., captured_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., captured_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListImageryResponse(_message.Message):
    __slots__ = ("items", "next")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Imagery]
    next: str
    def __init__(self, items: _Optional[_Iterable[_Union[Imagery, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class GetImageryRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteImageryRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DownloadImageryRequest(_message.Message):
    __slots__ = ("id", "asset", "offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    asset: int
    offset: int
    def __init__(self, id: _Optional[str] = ..., asset: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class DownloadThumbnailRequest(_message.Message):
    __slots__ = ("id", "offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class UploadImageryRequest(_message.Message):
    __slots__ = ("fields", "file", "data")
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    fields: UploadFields
    file: UploadFile
    data: bytes
    def __init__(self, fields: _Optional[_Union[UploadFields, _Mapping]] = ..., file: _Optional[_Union[UploadFile, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class UploadFields(_message.Message):
    __slots__ = ("captured_at", "gps_lat", "gps_lon", "sensor", "bands", "scale", "offset")
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    GPS_LAT_FIELD_NUMBER: _ClassVar[int]
    GPS_LON_FIELD_NUMBER: _ClassVar[int]
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    captured_at: _timestamp_pb2.Timestamp
    gps_lat: float
    gps_lon: float
    sensor: str
    bands: str
    scale: _containers.RepeatedScalarFieldContainer[float]
    offset: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., gps_lat: _Optional[float] = ..., gps_lon: _Optional[float] = ..., sensor: _Optional[str] = ..., bands: _Optional[str] = ..., scale: _Optional[_Iterable[float]] = ..., offset: _Optional[_Iterable[float]] = ...) -> None: ...

class UploadFile(_message.Message):
    __slots__ = ("filename", "content_type", "size_bytes")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    filename: str
    content_type: str
    size_bytes: int
    def __init__(self, filename: _Optional[str] = ..., content_type: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ListIndicesRequest(_message.Message):
    __slots__ = ("imagery_id", "domain", "q")
    IMAGERY_ID_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    imagery_id: str
    domain: str
    q: str
    def __init__(self, imagery_id: _Optional[str] = ..., domain: _Optional[str] = ..., q: _Optional[str] = ...) -> None: ...

class ListIndicesResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Index]
    def __init__(self, items: _Optional[_Iterable[_Union[Index, _Mapping]]] = ...) -> None: ...

class Index(_message.Message):
    __slots__ = ("name", "long_name", "common_name", "formula", "bands", "constants", "value_range", "reference", "needs_reflectance", "legacy", "domain", "high_is_good", "other_inputs", "computable", "note", "missing_bands")
    class ConstantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LONG_NAME_FIELD_NUMBER: _ClassVar[int]
    COMMON_NAME_FIELD_NUMBER: _ClassVar[int]
    FORMULA_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    CONSTANTS_FIELD_NUMBER: _ClassVar[int]
    VALUE_RANGE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    NEEDS_REFLECTANCE_FIELD_NUMBER: _ClassVar[int]
    LEGACY_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    HIGH_IS_GOOD_FIELD_NUMBER: _ClassVar[int]
    OTHER_INPUTS_FIELD_NUMBER: _ClassVar[int]
    COMPUTABLE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    MISSING_BANDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    long_name: str
    common_name: str
    formula: str
    bands: _containers.RepeatedScalarFieldContainer[str]
    constants: _containers.ScalarMap[str, float]
    value_range: _containers.RepeatedScalarFieldContainer[float]
    reference: str
    needs_reflectance: bool
    legacy: bool
    domain: str
    high_is_good: bool
    other_inputs: _containers.RepeatedScalarFieldContainer[str]
    computable: bool
    note: str
    missing_bands: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., long_name: _Optional[str] = ..., common_name: _Optional[str] = ..., formula: _Optional[str] = ..., bands: _Optional[_Iterable[str]] = ..., constants: _Optional[_Mapping[str, float]] = ..., value_range: _Optional[_Iterable[float]] = ..., reference: _Optional[str] = ..., needs_reflectance: _Optional[bool] = ..., legacy: _Optional[bool] = ..., domain: _Optional[str] = ..., high_is_good: _Optional[bool] = ..., other_inputs: _Optional[_Iterable[str]] = ..., computable: _Optional[bool] = ..., note: _Optional[str] = ..., missing_bands: _Optional[_Iterable[str]] = ...) -> None: ...

class SoilMask(_message.Message):
    __slots__ = ("index_type", "expression", "constants", "above")
    class ConstantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    INDEX_TYPE_FIELD_NUMBER: _ClassVar[int]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    CONSTANTS_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    index_type: str
    expression: str
    constants: _containers.ScalarMap[str, float]
    above: float
    def __init__(self, index_type: _Optional[str] = ..., expression: _Optional[str] = ..., constants: _Optional[_Mapping[str, float]] = ..., above: _Optional[float] = ...) -> None: ...

class AnalysisOptions(_message.Message):
    __slots__ = ("expression", "constants", "sensor", "scale", "offset", "raw", "soil_mask", "cmap", "stretch", "blend", "raster")
    class ConstantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    CONSTANTS_FIELD_NUMBER: _ClassVar[int]
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    SOIL_MASK_FIELD_NUMBER: _ClassVar[int]
    CMAP_FIELD_NUMBER: _ClassVar[int]
    STRETCH_FIELD_NUMBER: _ClassVar[int]
    BLEND_FIELD_NUMBER: _ClassVar[int]
    RASTER_FIELD_NUMBER: _ClassVar[int]
    expression: str
    constants: _containers.ScalarMap[str, float]
    sensor: str
    scale: _struct_pb2.Value
    offset: _struct_pb2.Value
    raw: bool
    soil_mask: SoilMask
    cmap: str
    stretch: _struct_pb2.Value
    blend: float
    raster: str
    def __init__(self, expression: _Optional[str] = ..., constants: _Optional[_Mapping[str, float]] = ..., sensor: _Optional[str] = ..., scale: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., offset: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., raw: _Optional[bool] = ..., soil_mask: _Optional[_Union[SoilMask, _Mapping]] = ..., cmap: _Optional[str] = ..., stretch: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., blend: _Optional[float] = ..., raster: _Optional[str] = ...) -> None: ...

class CreateRunRequest(_message.Message):
    __slots__ = ("imagery_id", "index_type", "auto_report", "language", "crop", "thresholds", "bands", "options", "callback", "priority")
    IMAGERY_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_TYPE_FIELD_NUMBER: _ClassVar[int]
    AUTO_REPORT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    imagery_id: str
    index_type: str
    auto_report: bool
    language: str
    crop: str
    thresholds: _struct_pb2.Value
    bands: str
    options: AnalysisOptions
    callback: str
    priority: str
    def __init__(self, imagery_id: _Optional[str] = ..., index_type: _Optional[str] = ..., auto_report: _Optional[bool] = ..., language: _Optional[str] = ..., crop: _Optional[str] = ..., thresholds: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., bands: _Optional[str] = ..., options: _Optional[_Union[AnalysisOptions, _Mapping]] = ..., callback: _Optional[str] = ..., priority: _Optional[str] = ...) -> None: ...

class ClassRow(_message.Message):
    __slots__ = ("name", "label", "lower", "upper", "pixels", "percent", "area_m2")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    AREA_M2_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    lower: float
    upper: float
    pixels: int
    percent: float
    area_m2: float
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., pixels: _Optional[int] = ..., percent: _Optional[float] = ..., area_m2: _Optional[float] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("edges", "counts")
    EDGES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    edges: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, edges: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("valid_pixels", "nodata_pixels", "invalid_pixels", "background_pixels", "out_of_range_pixels", "min", "max", "mean", "std", "median", "p2", "p98", "percentile_error", "histogram", "classes", "area_m2")
    VALID_PIXELS_FIELD_NUMBER: _ClassVar[int]
    NODATA_PIXELS_FIELD_NUMBER: _ClassVar[int]
    INVALID_PIXELS_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_PIXELS_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_RANGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    P2_FIELD_NUMBER: _ClassVar[int]
    P98_FIELD_NUMBER: _ClassVar[int]
    PERCENTILE_ERROR_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    AREA_M2_FIELD_NUMBER: _ClassVar[int]
    valid_pixels: int
    nodata_pixels: int
    invalid_pixels: int
    background_pixels: int
    out_of_range_pixels: int
    min: float
    max: float
    mean: float
    std: float
    median: float
    p2: float
    p98: float
    percentile_error: float
    histogram: Histogram
    classes: _containers.RepeatedCompositeFieldContainer[ClassRow]
    area_m2: float
    def __init__(self, valid_pixels: _Optional[int] = ..., nodata_pixels: _Optional[int] = ..., invalid_pixels: _Optional[int] = ..., background_pixels: _Optional[int] = ..., out_of_range_pixels: _Optional[int] = ..., min: _Optional[float] = ..., max: _Optional[float] = ..., mean: _Optional[float] = ..., std: _Optional[float] = ..., median: _Optional[float] = ..., p2: _Optional[float] = ..., p98: _Optional[float] = ..., percentile_error: _Optional[float] = ..., histogram: _Optional[_Union[Histogram, _Mapping]] = ..., classes: _Optional[_Iterable[_Union[ClassRow, _Mapping]]] = ..., area_m2: _Optional[float] = ...) -> None: ...

class Note(_message.Message):
    __slots__ = ("code", "text")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "started_at", "ended_at", "outcome", "reason", "node")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    number: int
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    outcome: str
    reason: str
    node: str
    def __init__(self, number: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class AnalysisRun(_message.Message):
    __slots__ = ("id", "imagery_id", "index_type", "status", "progress", "auto_report", "language", "crop", "thresholds", "bands", "options", "imagery_bucket", "imagery_object_key", "heatmap_bucket", "heatmap_key", "index_key", "stats", "conclusion", "statistics", "legend", "provenance", "warnings", "report_id", "error", "priority", "attempts", "last_error", "history", "callback", "callback_status", "callback_attempts", "callback_error", "created_at", "started_at", "completed_at")
    class StatsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    IMAGERY_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    AUTO_REPORT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    IMAGERY_BUCKET_FIELD_NUMBER: _ClassVar[int]
    IMAGERY_OBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    HEATMAP_BUCKET_FIELD_NUMBER: _ClassVar[int]
    HEATMAP_KEY_FIELD_NUMBER: _ClassVar[int]
    INDEX_KEY_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    CONCLUSION_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    LEGEND_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_STATUS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    imagery_id: str
    index_type: str
    status: RunStatus
    progress: float
    auto_report: bool
    language: str
    crop: str
    thresholds: _struct_pb2.Value
    bands: str
    options: AnalysisOptions
    imagery_bucket: str
    imagery_object_key: str
    heatmap_bucket: str
    heatmap_key: str
    index_key: str
    stats: _containers.ScalarMap[str, float]
    conclusion: str
    statistics: Statistics
    legend: _struct_pb2.Struct
    provenance: _struct_pb2.Struct
    warnings: _containers.RepeatedCompositeFieldContainer[Note]
    report_id: str
    error: str
    priority: str
    attempts: int
    last_error: str
    history: _containers.RepeatedCompositeFieldContainer[Attempt]
    callback: str
    callback_status: str
    callback_attempts: int
    callback_error: str
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    completed_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., imagery_id: _Optional[str] = ..., index_type: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ..., progress: _Optional[float] = ..., auto_report: _Optional[bool] = ..., language: _Optional[str] = ..., crop: _Optional[str] = ..., thresholds: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., bands: _Optional[str] = ..., options: _Optional[_Union[AnalysisOptions, _Mapping]] = ..., imagery_bucket: _Optional[str] = ..., imagery_object_key: _Optional[str] = ..., heatmap_bucket: _Optional[str] = ..., heatmap_key: _Optional[str] = ..., index_key: _Optional[str] = ..., stats: _Optional[_Mapping[str, float]] = ..., conclusion: _Optional[str] = ..., statistics: _Optional[_Union[Statistics, _Mapping]] = ..., legend: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., provenance: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[Note, _Mapping]]] = ..., report_id: _Optional[str] = ..., error: _Optional[str] = ..., priority: _Optional[str] = ..., attempts: _Optional[int] = ..., last_error: _Optional[str] = ..., history: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., callback: _Optional[str] = ..., callback_status: _Optional[str] = ..., callback_attempts: _Optional[int] = ..., callback_error: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., completed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("limit", "next", "imagery_id", "status")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGERY_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    limit: int
    next: str
    imagery_id: str
    status: RunStatus
    def __init__(self, limit: _Optional[int] = ..., next: _Optional[str] = ..., imagery_id: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("items", "next")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[AnalysisRun]
    next: str
    def __init__(self, items: _Optional[_Iterable[_Union[AnalysisRun, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteRunRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteRunResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: RunStatus
    def __init__(self, status: _Optional[_Union[RunStatus, str]] = ...) -> None: ...

class DownloadHeatmapRequest(_message.Message):
    __slots__ = ("id", "offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class DownloadIndexRasterRequest(_message.Message):
    __slots__ = ("id", "offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class CreateReportRequest(_message.Message):
    __slots__ = ("analysis_run_id", "language", "callback")
    ANALYSIS_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    analysis_run_id: str
    language: str
    callback: str
    def __init__(self, analysis_run_id: _Optional[str] = ..., language: _Optional[str] = ..., callback: _Optional[str] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("id", "analysis_run_id", "status", "language", "heatmap_key", "imagery_key", "stats", "conclusion", "report_bucket", "report_key", "error", "priority", "attempts", "last_error", "history", "created_at", "started_at", "completed_at", "callback", "callback_status", "callback_attempts", "callback_error")
    class StatsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    HEATMAP_KEY_FIELD_NUMBER: _ClassVar[int]
    IMAGERY_KEY_FIELD_NUMBER: _ClassVar[int]
    STATS_FIELD_NUMBER: _ClassVar[int]
    CONCLUSION_FIELD_NUMBER: _ClassVar[int]
    REPORT_BUCKET_FIELD_NUMBER: _ClassVar[int]
    REPORT_KEY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_STATUS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    analysis_run_id: str
    status: RunStatus
    language: str
    heatmap_key: str
    imagery_key: str
    stats: _containers.ScalarMap[str, float]
    conclusion: str
    report_bucket: str
    report_key: str
    error: str
    priority: str
    attempts: int
    last_error: str
    history: _containers.RepeatedCompositeFieldContainer[Attempt]
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    completed_at: _timestamp_pb2.Timestamp
    callback: str
    callback_status: str
    callback_attempts: int
    callback_error: str
    def __init__(self, id: _Optional[str] = ..., analysis_run_id: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ..., language: _Optional[str] = ..., heatmap_key: _Optional[str] = ..., imagery_key: _Optional[str] = ..., stats: _Optional[_Mapping[str, float]] = ..., conclusion: _Optional[str] = ..., report_bucket: _Optional[str] = ..., report_key: _Optional[str] = ..., error: _Optional[str] = ..., priority: _Optional[str] = ..., attempts: _Optional[int] = ..., last_error: _Optional[str] = ..., history: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., completed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., callback: _Optional[str] = ..., callback_status: _Optional[str] = ..., callback_attempts: _Optional[int] = ..., callback_error: _Optional[str] = ...) -> None: ...

class ListReportsRequest(_message.Message):
    __slots__ = ("limit", "next", "analysis_run_id", "status")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    limit: int
    next: str
    analysis_run_id: str
    status: RunStatus
    def __init__(self, limit: _Optional[int] = ..., next: _Optional[str] = ..., analysis_run_id: _Optional[str] = ..., status: _Optional[_Union[RunStatus, str]] = ...) -> None: ...

class ListReportsResponse(_message.Message):
    __slots__ = ("items", "next")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Report]
    next: str
    def __init__(self, items: _Optional[_Iterable[_Union[Report, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class GetReportRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DownloadReportRequest(_message.Message):
    __slots__ = ("id", "offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class DeleteReportRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
