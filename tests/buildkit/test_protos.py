"""The committed modules are what our `.proto` files say, and they name the services as the wire does."""

from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

from orchestrator.buildkit.protos import auth_pb2, control_pb2, filesync_pb2, gateway_pb2, secrets_pb2, sshforward_pb2
from orchestrator.buildkit.protos.compile import PACKAGE, compile_protos

ROOT = Path(__file__).parents[2]


def test_compiling_again_gives_what_is_committed(tmp_path: Path) -> None:
    written = compile_protos(tmp_path, root=ROOT)

    committed = sorted(path.relative_to(ROOT) for path in (ROOT / PACKAGE).glob("*_pb2.py*"))
    assert list(written) == committed
    for path in written:
        assert (tmp_path / path).read_text() == (ROOT / path).read_text(), f"{path}: run `poe protos`"


def test_every_proto_file_names_the_source_of_its_numbers() -> None:
    sources = sorted((ROOT / PACKAGE).glob("*.proto"))

    assert sources
    for source in sources:
        head = source.read_text().split("syntax =", maxsplit=1)[0]
        assert "from github.com/" in head, f"{source.name} does not say where its numbers come from"


@pytest.mark.parametrize(
    ("file", "service", "methods"),
    [
        (
            control_pb2.DESCRIPTOR,
            "moby.buildkit.v1.Control",
            {"DiskUsage", "Prune", "Solve", "Status", "Session", "ListWorkers", "Info", "ListenBuildHistory"},
        ),
        (gateway_pb2.DESCRIPTOR, "moby.buildkit.v1.frontend.LLBBridge", {"Solve", "Return"}),
        (sshforward_pb2.DESCRIPTOR, "moby.sshforward.v1.SSH", {"CheckAgent", "ForwardAgent"}),
        (
            auth_pb2.DESCRIPTOR,
            "moby.filesync.v1.Auth",
            {"Credentials", "FetchToken", "GetTokenAuthority", "VerifyTokenAuthority"},
        ),
        (secrets_pb2.DESCRIPTOR, "moby.buildkit.secrets.v1.Secrets", {"GetSecret"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_services_have_their_names_on_the_wire(file: FileDescriptor, service: str, methods: set[str]) -> None:
    found = {entry.full_name: {method.name for method in entry.methods} for entry in file.services_by_name.values()}

    assert found == {service: methods}


def test_one_file_has_both_services_for_files() -> None:
    assert {
        name: set(service.methods_by_name) for name, service in filesync_pb2.DESCRIPTOR.services_by_name.items()
    } == {
        "FileSync": {"DiffCopy"},
        "FileSend": {"DiffCopy"},
    }
