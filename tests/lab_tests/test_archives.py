import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream
from msgspec.structs import replace

from orchestrator.bases import sources
from orchestrator.bases.recipes import Archive
from tests.lab import Lab, archives
from tests.lab.errors import LabError
from tests.lab.state import Layout


def zipped(path: Path, files: Mapping[str, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as package:
        for name, mode in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            package.writestr(entry, f"{name}\n")
    return path


def described(**change: object) -> Archive:
    fields = {"pypi": "sample==1.0", "sha256": "0" * 64, "directory": "sample", "into": "/usr/local", **change}
    return msgspec.convert(fields, type=Archive)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unheard(_line: str) -> None:
    """Where progress goes that a test does not look at."""


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "lab")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only wheel that pip finds."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    path = zipped(tmp_path / "index" / "sample-1.0-py3-none-any.whl", {"sample/bin/tool": 0o100755})
    with zipfile.ZipFile(path, "a") as package:
        package.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        package.writestr("sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        package.writestr("sample-1.0.dist-info/RECORD", "")
    return path


def test_repacking_takes_one_directory_and_keeps_or_gives_execution_bits(tmp_path: Path) -> None:
    names = {
        "sample/": 0o040755,
        "sample/bin/tool": 0o100755,
        "sample/src/bin/go": 0,
        "sample/readme": 0o100644,
        "sample/pkg/compile": 0,
        "sample.dist-info/METADATA": 0o100644,
        "samples/x": 0o100755,
    }
    source = zipped(tmp_path / "package.zip", names)

    archives.repack(source, described(executable=["bin/*", "pkg/*"]), tmp_path / "package.tar")

    with tarfile.open(tmp_path / "package.tar") as tar:
        modes = {member.name: member.mode for member in tar}
        contents = {member.name: stream.read() for member in tar if (stream := tar.extractfile(member))}
    assert modes == {"bin/tool": 0o755, "src/bin/go": 0o644, "readme": 0o644, "pkg/compile": 0o755}
    assert contents == {name: f"sample/{name}\n".encode() for name in modes}


def test_repacking_takes_a_directory_of_a_tarball_and_links_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as package:
        for name, mode in {"package/bin/tool": 0o755, "package/bin/readme": 0o644, "package/other": 0o644}.items():
            member = tarfile.TarInfo(name)
            member.mode, member.size = mode, len(name)
            package.addfile(member, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("package/bin/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        package.addfile(link)

    archive = described(pypi=None, npm="sample@1.0.0", directory="package/bin")
    archives.repack(tmp_path / "package.tgz", archive, tmp_path / "package.tar")

    with tarfile.open(tmp_path / "package.tar") as tar:
        found = {member.name: (member.mode, stream.read()) for member in tar if (stream := tar.extractfile(member))}
    assert found == {"tool": (0o755, b"package/bin/tool"), "readme": (0o644, b"package/bin/readme")}


def test_a_package_that_is_one_file_stays_as_it_is(tmp_path: Path) -> None:
    jar = zipped(tmp_path / "package.jar", {"META-INF/MANIFEST.MF": 0o644})

    archive = described(pypi=None, maven="a:b:1.0:jar", directory=None, file="b.jar")
    archives.repack(jar, archive, tmp_path / "package.tar")

    with tarfile.open(tmp_path / "package.tar") as tar:
        contents = {member.name: stream.read() for member in tar if (stream := tar.extractfile(member))}
    assert contents == {"b.jar": jar.read_bytes()}


@pytest.mark.parametrize(
    ("package", "url"),
    [
        ("yarn@1.22.22", "https://registry.example/npm/yarn/-/yarn-1.22.22.tgz"),
        ("@oven/bun-linux-x64@1.3.4", "https://registry.example/npm/@oven/bun-linux-x64/-/bun-linux-x64-1.3.4.tgz"),
    ],
)
def test_npm_serves_a_package_below_its_name(package: str, url: str) -> None:
    assert sources.npm_url(package, "https://registry.example/npm/") == url


@pytest.mark.parametrize(
    ("artifact", "path"),
    [
        ("org.scala-sbt:sbt-launch:1.12.0:jar", "org/scala-sbt/sbt-launch/1.12.0/sbt-launch-1.12.0.jar"),
        (
            "org.apache.maven:apache-maven:3.9.16:tar.gz:bin",
            "org/apache/maven/apache-maven/3.9.16/apache-maven-3.9.16-bin.tar.gz",
        ),
    ],
)
def test_maven_serves_an_artifact_below_its_coordinates(artifact: str, path: str) -> None:
    assert sources.maven_url(artifact, "https://repository.example") == f"https://repository.example/{path}"


async def test_a_package_of_npm_is_fetched_from_the_registry_that_npm_is_told(
    place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"a package"
    asked: list[bytes] = []

    async def serve(stream: SocketStream) -> None:
        async with stream:
            asked.append((await stream.receive()).splitlines()[0])
            missing = b"missing" in asked[-1]
            status = b"404 Not Found" if missing else b"200 OK"
            await stream.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content))

    archive = described(pypi=None, npm="@a/b@1.0.0", sha256=hashlib.sha256(content).hexdigest())
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{port}/npm/")

        fetched = await archives.fetch(place, archive, unheard)
        with pytest.raises(LabError, match=r"fetching missing@1\.0\.0: .*404") as caught:
            await archives.fetch(place, replace(archive, npm="missing@1.0.0", sha256="1" * 64), unheard)

        assert await anyio.Path(fetched).read_bytes() == content
        assert asked[0] == b"GET /npm/@a/b/-/b-1.0.0.tgz HTTP/1.1"
        assert "/npm/missing/-/missing-1.0.0.tgz" in caught.value.hint
        tasks.cancel_scope.cancel()


def test_repacking_depends_on_nothing_but_the_files(tmp_path: Path) -> None:
    source = zipped(tmp_path / "package.zip", {"sample/bin/tool": 0o100755})

    for name in ("first.tar", "second.tar"):
        archives.repack(source, described(), tmp_path / name)

    assert sha256(tmp_path / "first.tar") == sha256(tmp_path / "second.tar")


def test_repacking_a_package_without_the_directory_is_an_error(tmp_path: Path) -> None:
    source = zipped(tmp_path / "package.zip", {"other/bin/tool": 0o100755})

    with pytest.raises(LabError, match=r"sample==1\.0 has no directory sample"):
        archives.repack(source, described(), tmp_path / "package.tar")


async def test_a_wheel_is_fetched_by_pip_as_its_settings_say_and_only_once(place: Layout, wheel: Path) -> None:
    said: list[str] = []
    archive = described(sha256=sha256(wheel))

    first = await archives.fetch(place, archive, said.append)
    served = await anyio.Path(wheel).read_bytes()
    await anyio.Path(wheel).unlink()
    second = await archives.fetch(place, archive, said.append)

    assert first == second
    assert first.read_bytes() == served
    assert said == ["fetching sample==1.0"]
    assert list(place.work.iterdir()) == []


async def test_a_package_with_another_digest_is_refused_and_not_kept(place: Layout, wheel: Path) -> None:
    with pytest.raises(LabError, match=f"has the digest sha256:{sha256(wheel)}, and must have sha256:0000"):
        await archives.fetch(place, described(), unheard)

    assert not (place.root / "bases").exists()


async def test_a_package_that_no_index_has_is_an_error_that_names_it(place: Layout, wheel: Path) -> None:
    await anyio.Path(wheel).unlink()

    with pytest.raises(LabError, match=r"fetching sample==1\.0: exit status 1") as caught:
        await archives.fetch(place, described(), unheard)

    assert "pip download sample==1.0" in caught.value.hint


@pytest.mark.real
async def test_a_module_is_fetched_by_go_as_its_settings_say(
    lab: Lab, place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "proxy" / "sample.example" / "tool" / "@v"
    served = zipped(versions / "v1.0.0.zip", {"sample.example/tool@v1.0.0/bin/tool": 0})
    (versions / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (versions / "v1.0.0.mod").write_text("module sample.example/tool\n")
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path}/proxy")
    monkeypatch.setenv("GONOSUMDB", "sample.example")
    archive = described(pypi=None, go="sample.example/tool@v1.0.0", sha256=sha256(served))

    fetched = await archives.fetch(place, archive, unheard)

    assert lab.state != place.root
    assert fetched.read_bytes() == served.read_bytes()
    assert list(place.work.iterdir()) == []
