from orchestrator.buildkit.protos import ops_pb2 as _ops_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerRecord(_message.Message):
    __slots__ = ("id", "labels", "platforms", "gc_policy", "buildkit_version", "cdi_devices")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PLATFORMS_FIELD_NUMBER: _ClassVar[int]
    GC_POLICY_FIELD_NUMBER: _ClassVar[int]
    BUILDKIT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CDI_DEVICES_FIELD_NUMBER: _ClassVar[int]
    id: str
    labels: _containers.ScalarMap[str, str]
    platforms: _containers.RepeatedCompositeFieldContainer[_ops_pb2.Platform]
    gc_policy: _containers.RepeatedCompositeFieldContainer[GCPolicy]
    buildkit_version: BuildkitVersion
    cdi_devices: _containers.RepeatedCompositeFieldContainer[CDIDevice]
    def __init__(self, id: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., platforms: _Optional[_Iterable[_Union[_ops_pb2.Platform, _Mapping]]] = ..., gc_policy: _Optional[_Iterable[_Union[GCPolicy, _Mapping]]] = ..., buildkit_version: _Optional[_Union[BuildkitVersion, _Mapping]] = ..., cdi_devices: _Optional[_Iterable[_Union[CDIDevice, _Mapping]]] = ...) -> None: ...

class GCPolicy(_message.Message):
    __slots__ = ("all", "keep_duration", "reserved_space", "filters", "max_used_space", "min_free_space")
    ALL_FIELD_NUMBER: _ClassVar[int]
    KEEP_DURATION_FIELD_NUMBER: _ClassVar[int]
    RESERVED_SPACE_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    MAX_USED_SPACE_FIELD_NUMBER: _ClassVar[int]
    MIN_FREE_SPACE_FIELD_NUMBER: _ClassVar[int]
    all: bool
    keep_duration: int
    reserved_space: int
    filters: _containers.RepeatedScalarFieldContainer[str]
    max_used_space: int
    min_free_space: int
    def __init__(self, all: _Optional[bool] = ..., keep_duration: _Optional[int] = ..., reserved_space: _Optional[int] = ..., filters: _Optional[_Iterable[str]] = ..., max_used_space: _Optional[int] = ..., min_free_space: _Optional[int] = ...) -> None: ...

class BuildkitVersion(_message.Message):
    __slots__ = ("package", "version", "revision", "dockerfile_version")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DOCKERFILE_VERSION_FIELD_NUMBER: _ClassVar[int]
    package: str
    version: str
    revision: str
    dockerfile_version: str
    def __init__(self, package: _Optional[str] = ..., version: _Optional[str] = ..., revision: _Optional[str] = ..., dockerfile_version: _Optional[str] = ...) -> None: ...

class CDIDevice(_message.Message):
    __slots__ = ("name", "auto_allow", "annotations", "on_demand")
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    AUTO_ALLOW_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    ON_DEMAND_FIELD_NUMBER: _ClassVar[int]
    name: str
    auto_allow: bool
    annotations: _containers.ScalarMap[str, str]
    on_demand: bool
    def __init__(self, name: _Optional[str] = ..., auto_allow: _Optional[bool] = ..., annotations: _Optional[_Mapping[str, str]] = ..., on_demand: _Optional[bool] = ...) -> None: ...
