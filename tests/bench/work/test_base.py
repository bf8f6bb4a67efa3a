"""The base image out of this machine."""

import io
import os
import tarfile
from pathlib import Path

import anyio
import pytest

from orchestrator.bench.work import base, image
from orchestrator.errors import UsageError

CHROOT = "/usr/sbin/chroot"


@pytest.mark.parametrize(
    ("said", "files"),
    [
        (
            "\tlinux-vdso.so (0x7f)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x7f)\n\t/lib64/ld.so.2 (0x7f)\n",
            ["/lib/x86_64-linux-gnu/libz.so.1", "/lib64/ld.so.2"],
        ),
        (
            "\t/lib/ld-musl-x86_64.so.1 (0x7f)\n\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f)\n",
            ["/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-x86_64.so.1"],
        ),
        ("\tlibgone.so.1 => not found\n", []),
        ("", []),
    ],
)
def test_libraries_are_what_a_loader_lists(said: str, files: list[str]) -> None:
    assert list(base.listed(said)) == files


async def test_a_program_is_missing_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PROGRAMS", ("no-such-program",))

    with pytest.raises(UsageError, match="no-such-program") as caught:
        await base.collect()

    assert "--base IMAGE" in caught.value.hint


async def test_a_python_that_does_not_start_is_told_with_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_LISTED", "import no_such_module")

    with pytest.raises(UsageError, match="does not list its modules: ModuleNotFoundError") as caught:
        await base.collect(whole=False)

    assert "--base IMAGE" in caught.value.hint


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # files are the same; `test_storage` makes them on both
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its root directory")
@pytest.mark.parametrize("whole", [True, False])
async def test_python_and_the_shell_run_in_it_and_find_all_that_they_need(tmp_path: Path, *, whole: bool) -> None:
    collected = await base.collect(whole=whole)
    digest = base.write(tmp_path / "layout", collected)
    found = image.content(tmp_path / "layout", digest)
    root = tmp_path / "root"
    [layer] = found.layers
    with tarfile.open(fileobj=io.BytesIO(layer.read_bytes())) as tar:
        tar.extractall(root, filter="fully_trusted")  # noqa: S202 -- made here
    env = dict(each.split("=", 1) for each in found.env)
    program = (
        "from __future__ import annotations; import gzip, hashlib, tarfile, zipfile; "
        "print(hashlib.sha256(b'').hexdigest())"
    )

    ran = await anyio.run_process([CHROOT, str(root), "python3", "-c", program], env=env)
    shell = await anyio.run_process(
        [CHROOT, str(root), "sh", "-c", "mkdir /a && cp -a /tmp /a/b && find /a -type d | head -n 2 && du -sk /a"],
        env=env,
    )

    assert ran.stdout.decode().startswith("e3b0c44298fc")
    assert shell.stdout.decode().splitlines()[:2] == ["/a", "/a/b"]
