"""Compiles the `.proto` files of this package into modules and stubs: `poe protos`.

The generated files are committed, so that neither a user nor an installation needs a compiler.
"""

import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, cast

from grpc_tools import protoc

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path("orchestrator/buildkit/protos")
_ROOT = Path(__file__).resolve().parents[3]


def compile_protos(output: Path, *, root: Path = _ROOT) -> tuple[Path, ...]:
    """Compile every `.proto` file of this package.

    Args:
        output: the directory under which `orchestrator/buildkit/protos/*_pb2.py` and `*_pb2.pyi` are written.
        root: the checkout, from which imports between the files are resolved.

    Returns:
        The written files, relative to `output`, in order.

    Raises:
        RuntimeError: a file does not compile; the compiler has printed why.
    """
    sources = [str(PACKAGE / source.name) for source in sorted((root / PACKAGE).glob("*.proto"))]
    includes = [f"--proto_path={root}", f"--proto_path={resources.files('grpc_tools') / '_proto'}"]
    arguments = ["protoc", *includes, f"--python_out={output}", f"--pyi_out={output}", *sources]
    # grpcio-tools ships no types.
    main = cast("Callable[[list[str]], int]", protoc.main)  # pyright: ignore[reportUnknownMemberType]  see above
    status = main(arguments)
    if status != 0:
        raise RuntimeError(f"protoc ended with {status}")
    return tuple(sorted(path.relative_to(output) for path in (output / PACKAGE).glob("*_pb2.py*")))


if __name__ == "__main__":
    for path in compile_protos(_ROOT):
        sys.stdout.write(f"{path}\n")
