"""Which platforms of an image are built where."""

import pytest

from orchestrator.schedule.platforms import groups

_AMD, _ARM, _RISC = "linux/amd64", "linux/arm64", "linux/riscv64"


@pytest.mark.parametrize(
    ("wanted", "offered", "expected"),
    [
        ((), [(_AMD,), (_ARM,)], [()]),
        ((_ARM,), [(_AMD,), (_ARM,)], [(_ARM,)]),
        ((_AMD, _ARM), [(_AMD,), (_ARM,)], [(_AMD,), (_ARM,)]),
        ((_ARM, _AMD, _ARM), [(_AMD,), (_ARM,)], [(_ARM,), (_AMD,)]),
        ((_AMD, _ARM), [(_AMD,), (_AMD, _ARM)], [(_AMD, _ARM)]),
        ((_AMD, _ARM), [(), ()], [(_AMD, _ARM)]),
        ((_AMD, _ARM, _RISC), [(_AMD,), (_ARM,)], [(_AMD, _ARM, _RISC)]),
    ],
    ids=[
        "nothing said",
        "one",
        "each its own",
        "named twice",
        "one host does both",
        "nothing known",
        "one has no host",
    ],
)
def test_an_image_is_split_where_no_host_builds_all_of_it_and_each_platform_has_one(
    wanted: tuple[str, ...], offered: list[tuple[str, ...]], expected: list[tuple[str, ...]]
) -> None:
    assert groups(wanted, offered) == tuple(expected)
