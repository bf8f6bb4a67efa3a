"""Versions of secrets: whose key they are made with, what they tell, and what happens when a value changes."""

import hashlib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.model import SECRETS_VERSION, Settings
from orchestrator.app.secretversions import Versioned, operator_key, version, versioned
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config, load
from orchestrator.errors import ConfigError
from orchestrator.model import Plan
from tests.engine.test_run import plan_of as some_plan

_KEY = {"FLEETPACKS_HMAC_KEY": "a key of this test"}


class Values:
    """Secrets whose values can be changed."""

    def __init__(self, **values: bytes) -> None:
        self.values = values
        self.asked: list[str] = []

    @property
    def readers(self) -> Mapping[str, SecretReader]:
        return {name: self._reader(name) for name in self.values}

    def _reader(self, name: str) -> SecretReader:
        async def read() -> bytes:
            self.asked.append(name)
            return self.values[name]

        return read


def config(home: Path, **variables: str) -> Config:
    return load(None, {"HOME": str(home), **variables})


def plan_of(*invalidating: tuple[str, ...], dockerfile: str = "FROM scratch\n") -> Plan:
    """A plan of one app for each tuple of names."""
    plan = some_plan(*(f"app{number}" for number in range(len(invalidating))))
    apps = tuple(
        msgspec.structs.replace(
            app,
            app=msgspec.structs.replace(app.app, settings=Settings(secrets=("A", "B"), invalidating=names)),
            build=msgspec.structs.replace(app.build, dockerfile=dockerfile, dockerfile_path="Dockerfile"),
        )
        for app, names in zip(plan.apps, invalidating, strict=True)
    )
    return msgspec.structs.replace(plan, apps=apps)


def names_in(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()]


def versions_of(known: Versioned) -> list[str]:
    return [app.secrets_version for app in known.plan.apps]


async def test_apps_that_have_the_same_secrets_have_the_same_version_and_the_others_none(tmp_path: Path) -> None:
    values = Values(A=b"one", B=b"two")

    known = await versioned(config(tmp_path, **_KEY), plan_of(("A",), ("B", "A"), ("A", "B"), ()), values.readers)

    a, both, same, none = versions_of(known)
    assert len({a, both, none}) == 3
    assert (same, none) == (both, "")
    assert sorted(values.asked) == ["A", "B"]
    assert known.warnings == ()
    assert not (tmp_path / ".local").exists()


async def test_without_a_secret_that_invalidates_no_value_is_read_and_no_key_is_made(tmp_path: Path) -> None:
    values = Values(A=b"one")

    known = await versioned(config(tmp_path), plan_of((), ()), values.readers)

    assert versions_of(known) == ["", ""]
    assert values.asked == []
    assert names_in(tmp_path) == []


async def test_a_machine_makes_a_key_once_for_its_owner_alone(tmp_path: Path) -> None:
    values = Values(A=b"one")
    file = tmp_path / ".local/state/fleetpacks/hmac.key"

    first = await versioned(config(tmp_path), plan_of(("A",)), values.readers)
    kept = file.read_text()
    second = await versioned(config(tmp_path), plan_of(("A",)), values.readers)
    other = await versioned(config(tmp_path / "other"), plan_of(("A",)), values.readers)

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == kept
    assert names_in(file.parent) == [file.name]
    assert versions_of(first) == versions_of(second) != versions_of(other)
    assert first.warnings == second.warnings == other.warnings == ()


async def test_a_ci_that_begins_with_nothing_is_told_of_the_variable(tmp_path: Path) -> None:
    values = Values(A=b"one")

    first = await versioned(config(tmp_path, CI="true"), plan_of(("A",)), values.readers)
    second = await versioned(config(tmp_path, CI="true"), plan_of(("A",)), values.readers)

    [warning] = first.warnings
    assert "$FLEETPACKS_HMAC_KEY" in warning
    assert second.warnings == ()


async def test_no_key_is_made_or_taken_inside_the_source(tmp_path: Path) -> None:
    values = Values(A=b"one")
    inside = load(tmp_path, {"HOME": str(tmp_path)})

    known = [await versioned(inside, plan_of(("A",)), values.readers) for _ in range(2)]

    assert names_in(tmp_path) == []
    assert versions_of(known[0]) != versions_of(known[1])
    assert all("$FLEETPACKS_HMAC_KEY" in warning for each in known for warning in each.warnings)


async def test_where_no_key_can_be_kept_there_is_one_for_this_run(tmp_path: Path) -> None:
    values, nowhere = Values(A=b"one"), tmp_path / "file"
    nowhere.write_text("")

    known = [await versioned(config(nowhere), plan_of(("A",)), values.readers) for _ in range(2)]

    assert versions_of(known[0]) != versions_of(known[1])
    assert all("$FLEETPACKS_HMAC_KEY" in warning for each in known for warning in each.warnings)
    assert [len(each.warnings) for each in known] == [1, 1]


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("", 0o600, "no key"),
        ("0" * 63, 0o600, "no key"),
        ("0" * 64 + "1", 0o600, "no key"),
        ("0" * 64, 0o644, "others"),
    ],
)
async def test_a_key_that_is_none_or_that_others_may_read_is_refused_and_not_shown(
    tmp_path: Path, text: str, mode: int, problem: str
) -> None:
    file = tmp_path / ".local/state/fleetpacks/hmac.key"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(mode)

    with pytest.raises(ConfigError) as caught:
        await versioned(config(tmp_path), plan_of(("A",)), Values(A=b"one").readers)

    assert caught.value.message.startswith(f"{file}: ")
    assert problem in caught.value.message
    assert "0000" not in caught.value.message + caught.value.hint


def test_of_many_that_make_a_key_at_once_all_have_the_same(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def make(_: int) -> tuple[bytes, tuple[str, ...]]:
        together.wait()
        return operator_key(config(tmp_path))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))

    assert len({key for key, _ in made}) == 1
    assert all(warnings == () for _, warnings in made)


async def test_a_value_that_changes_under_a_run_is_given_to_no_step(tmp_path: Path) -> None:
    values = Values(A=b"one", B=b"two")
    known = await versioned(config(tmp_path, **_KEY), plan_of(("A",)), values.readers)

    before = await known.readers["A"]()
    values.values |= {"A": b"very secret", "B": b"three"}
    with pytest.raises(ConfigError) as caught:
        await known.readers["A"]()

    assert before == b"one"
    assert "changed" in caught.value.message
    assert "very secret" not in caught.value.message + caught.value.hint
    # What does not invalidate is whatever it is when it is asked for.
    assert await known.readers["B"]() == b"three"


async def test_a_value_that_cannot_be_read_is_an_error_before_anything_is_built(tmp_path: Path) -> None:
    async def missing() -> bytes:
        raise ConfigError("secrets.A: $A is not set", hint="Set A.")

    with pytest.raises(ConfigError, match=r"\$A is not set"):
        await versioned(config(tmp_path, **_KEY), plan_of(("A",)), {"A": missing})


@pytest.mark.parametrize(
    ("before", "warned"),
    [
        ("", True),
        (f"ARG {SECRETS_VERSION}\n", False),
        (f"  arg\tX=1 {SECRETS_VERSION}=none\n", False),
        (f"# ARG {SECRETS_VERSION}\n", True),
        (f"ARG {SECRETS_VERSION}S\n", True),
        (f"RUN echo ARG {SECRETS_VERSION}\n", True),
    ],
)
async def test_a_dockerfile_whose_steps_would_not_run_again_is_warned_of(
    tmp_path: Path, before: str, *, warned: bool
) -> None:
    mounting = f"FROM scratch\n{before}RUN --mount=type=secret,id=A true\n"
    values = Values(A=b"one")

    known = await versioned(config(tmp_path, **_KEY), plan_of(("A",), dockerfile=mounting), values.readers)
    unmounted = await versioned(config(tmp_path, **_KEY), plan_of(("A",)), values.readers)

    assert [SECRETS_VERSION in warning for app in known.plan.apps for warning in app.build.warnings] == [True] * warned
    assert unmounted.plan.apps[0].build.warnings == ()


@pytest.mark.parametrize(
    "dockerfile",
    [
        f"ARG {SECRETS_VERSION}\nFROM scratch\nRUN --mount=type=secret,id=A true\n",
        f"FROM scratch\nRUN --mount=type=secret,id=A true\nARG {SECRETS_VERSION}\n",
    ],
)
async def test_a_declaration_that_does_not_reach_the_step_is_warned_of(tmp_path: Path, dockerfile: str) -> None:
    known = await versioned(config(tmp_path, **_KEY), plan_of(("A",), dockerfile=dockerfile), Values(A=b"one").readers)

    [warning] = known.plan.apps[0].build.warnings
    assert SECRETS_VERSION in warning


@given(st.binary(min_size=1), st.binary(min_size=1), st.sampled_from(["A", "B"]), st.binary(), st.binary())
def test_a_version_says_whether_two_values_are_the_same_and_is_no_plain_hash(
    key: bytes, other_key: bytes, name: str, value: bytes, other: bytes
) -> None:
    made = version(key, name, value)

    assert made == version(key, name, value)
    assert len(made) == 32
    assert (made == version(key, name, other)) == (value == other)
    assert made != version(key, "C", value)
    assert not hashlib.sha256(value).hexdigest().startswith(made)
    # HMAC fills short keys up with zeros: a key of the operator's is text.
    if key.rstrip(b"\0") != other_key.rstrip(b"\0") and max(len(key), len(other_key)) <= 64:
        assert made != version(other_key, name, value)
