"""The FileSync service: the daemon reads our local sources, and only those which the build offers.

Metadata of a call (session/filesync/filesync.go, BuildKit v0.30.0): `dir-name` names the source, `include-patterns`,
`exclude-patterns` and `followpaths` choose from it, one header per value; `<key>-encoded` says that the values are
URL-escaped, as they are as soon as one of them is not ASCII. All must be honoured: the daemon deletes from its copy
what is not sent, and asks for `.dockerignore` alone before anything else.
"""

import stat
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus

import anyio.to_thread

from orchestrator.buildkit.grpc import Call, GrpcError, Handler, Metadata, Status
from orchestrator.buildkit.protos.fsutil_pb2 import Packet
from orchestrator.buildkit.session.directory import DirectoryTree
from orchestrator.buildkit.session.followpaths import follow, without_nested
from orchestrator.buildkit.session.memory import MemoryTree
from orchestrator.buildkit.session.patterns import Filter
from orchestrator.buildkit.session.retimed import RetimedTree
from orchestrator.buildkit.session.sources import DirectorySource, Source
from orchestrator.buildkit.session.transfer import FileSyncState, Transfer, encode, send_packets
from orchestrator.buildkit.session.tree import Tree, shown
from orchestrator.errors import ContextError

__all__ = ["DIFF_COPY", "FileSyncState", "file_sync_handlers"]

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""strconv.ParseBool."""


def file_sync_handlers(sources: Sequence[Source], state: FileSyncState) -> Mapping[str, Handler]:
    """The handlers of the FileSync service, by method.

    Args:
        sources: what the daemon may read.
        state: counts, and the error that a transfer failed with.

    Raises:
        ContextError: a source's root is missing or not a directory.
    """
    by_name = {source.name: source for source in sources}
    for source in sources:
        _check_root(source)

    async def diff_copy(call: Call) -> None:
        wanted = _Wanted(call.metadata)
        source = by_name.get(wanted.name)
        if source is None:
            offered = ", ".join(sorted(by_name)) or "nothing"
            raise GrpcError(Status.NOT_FOUND, f"no source is named {wanted.name!r}; this build offers {offered}")
        try:
            await _send(call, source, wanted, state)
        except ContextError as error:
            state.error = state.error or error
            await send_packets(call, state, [encode(Packet.PACKET_ERR, data=error.message.encode())])
            raise GrpcError(Status.FAILED_PRECONDITION, error.message) from error

    return {DIFF_COPY: diff_copy}


async def _send(call: Call, source: Source, wanted: "_Wanted", state: FileSyncState) -> None:
    tree, chosen = await anyio.to_thread.run_sync(_choose, source, wanted)
    try:
        await Transfer(call, tree, chosen, state).run()
    finally:
        tree.close()


def _choose(source: Source, wanted: "_Wanted") -> tuple[Tree, Filter]:
    tree = _open(source)
    try:
        return tree, wanted.filter(tree)
    except BaseException:
        tree.close()
        raise


class _Wanted:
    """What the daemon asks for.

    Raises:
        GrpcError: the metadata is not what BuildKit sends.
    """

    def __init__(self, metadata: Metadata) -> None:
        name, *_ = (*_values(metadata, "dir-name"), "")
        self.name = name
        self._include = _values(metadata, "include-patterns")
        self._exclude = _values(metadata, "exclude-patterns")
        self._follow = _values(metadata, "followpaths")

    def filter(self, tree: Tree) -> Filter:
        """The patterns that choose from a tree, its symlinks looked at.

        Raises:
            ContextError: a pattern is malformed, or a symlink on the way cannot be read.
        """
        include = self._include
        if self._follow and (followed := follow(tree, self._follow)) is not None:
            include = without_nested((*include, *followed)) or ()
        return Filter(include=include, exclude=self._exclude)


def _values(metadata: Metadata, key: str) -> tuple[str, ...]:
    values = tuple(value for name, value in metadata if name == key and isinstance(value, str))
    if not any(name == f"{key}-encoded" and value in _TRUE for name, value in metadata):
        return values
    try:
        return tuple(unquote_plus(value, errors="strict") for value in values)
    except UnicodeDecodeError as error:
        raise GrpcError(Status.INVALID_ARGUMENT, f"the values of {key} are not URL-escaped UTF-8") from error


def _open(source: Source) -> Tree:
    if not isinstance(source, DirectorySource):
        return MemoryTree(source.files)
    if source.clock is None:
        return DirectoryTree(source.root)
    clock = source.clock()
    return RetimedTree(DirectoryTree(source.root), clock)


def _check_root(source: Source) -> None:
    if not isinstance(source, DirectorySource):
        MemoryTree(source.files)
        return
    try:
        is_directory = stat.S_ISDIR(source.root.stat().st_mode)
    except OSError as error:
        problem = error.strerror or str(error)
    else:
        if is_directory:
            return
        problem = "it is not a directory"
    raise ContextError(
        f"the build context {shown(source.root)} cannot be used: {problem}",
        hint="Name a directory that exists and may be read.",
    )
