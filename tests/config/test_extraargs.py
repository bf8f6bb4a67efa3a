"""`$CI_IMAGE_BUILD_EXTRA_ARGS`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.extraargs import ExtraArgs, parse
from orchestrator.errors import ConfigError

_VARIABLES = {"CONTAINER_NAME": "shop", "TWO": "a b", "TOKEN": "x", "EVIL": "x,dest=/etc", "EMPTY": "", "UP": "../up"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, ExtraArgs()),
        ("  ", ExtraArgs()),
        (
            "--cache-from type=local,src=/c/${CONTAINER_NAME} --cache-to=type=local,dest=/c/$CONTAINER_NAME,mode=max",
            ExtraArgs(local=Path("/c/shop"), local_sources=(Path("/c/shop"),), mode="max"),
        ),
        ("--cache-from 'type=local,src=/a b'", ExtraArgs(local_sources=(Path("/a b"),))),
        ("--cache-from type=local,src=/c/$TWO", ExtraArgs(local_sources=(Path("/c/a b"),))),
        ("--cache-from 'type=local,\"src=/a,b\"'", ExtraArgs(local_sources=(Path("/a,b"),))),
        (
            "--cache-to type=registry,ref=r.example/c:x,mode=max,compression=zstd,registry.insecure=true",
            ExtraArgs(image="r.example/c:x", mode="max", compression="zstd", insecure=True),
        ),
        ("--cache-from r.example/a --cache-from r.example/b", ExtraArgs(sources=("r.example/a", "r.example/b"))),
        (
            "--build-arg A=1 --build-arg=B='x y' --build-arg TOKEN",
            ExtraArgs(build_args={"A": "1", "B": "x y", "TOKEN": "x"}),
        ),
        ("--no-cache --progress=plain --quiet", ExtraArgs(no_cache=True)),
        ("--build-arg PRICE=5$ --build-arg X=$", ExtraArgs(build_args={"PRICE": "5$", "X": "$"})),
    ],
)
def test_what_a_runner_says_is_understood(text: str | None, said: ExtraArgs) -> None:
    assert parse(text, _VARIABLES) == said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--cache-from", "has no value"),
        ("--cache-from=", "has no value"),
        ("--platform linux/arm64", "'--platform' is not understood"),
        ("--no-cache=false", "not understood"),
        (".", "'.' is not understood"),
        ("--cache-from 'x", "no closing quotation"),
        ("--cache-from type=local,src=/c/$NOBODY", "$NOBODY is not set"),
        ("--cache-from type=local,src=/c/${A:-b}", "only $NAME"),
        ("--cache-from type=local,src=/c/$(id)", "only $NAME"),
        ("--cache-from type=local,src=relative", "absolute path"),
        ("--cache-from type=local,src=/c/$UP", "absolute path"),
        ("--cache-from type=local,src=$EMPTY", "src is missing"),
        ("--cache-from type=local", "src is missing"),
        ("--cache-from type=local,src=/c,tag=x", "'tag' is not understood"),
        ("--cache-from type=local,src=/c/$EVIL", "'dest' is not understood"),
        ("--cache-to type=gha", "expected type=local or type=registry"),
        ("--cache-to type=local,dest=/c,mode=most", "expected min or max, got 'most'"),
        ("--cache-to type=local,dest=/c --cache-to type=local,dest=/d", "two --cache-to of type=local"),
        ("--build-arg NOBODY", "no such variable"),
        ("--build-arg =x", "expected NAME[=VALUE]"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, _VARIABLES)

    assert caught.value.message.startswith("$CI_IMAGE_BUILD_EXTRA_ARGS: ")
    assert why in caught.value.message
    assert "--cache-from" in caught.value.hint


@given(text=st.text(alphabet=st.sampled_from(list("--cacefromtobuild=,'\"\\ ${}()/x\n\0")), max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        said = parse(f"--cache-from {text}", _VARIABLES)
    except ConfigError:
        return

    assert all(path.is_absolute() and ".." not in path.parts for path in said.local_sources)
