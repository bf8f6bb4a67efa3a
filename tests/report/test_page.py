"""The page, and what a real browser makes of it."""

from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream, SocketAttribute
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.events import AppFailed, AppStarted, RunStarted, StepCompleted
from orchestrator.report.analysis import of_timeline
from orchestrator.report.page import page
from orchestrator.report.record import Header, Record, RecordedApp
from orchestrator.report.timeline import timeline
from tests.report.browser import render
from tests.report.simulated import BEGAN, MadeApp, MadeStep, simulate

_HOSTILE = (
    "<script>document.title='pwned'</script>",
    '"><img src=http://127.0.0.1:1/x onerror="document.title=`pwned`">',
    "</title></style></pre><style>*{display:none}</style>",
    "</svg><iframe srcdoc='<script>parent.document.title=1</script>'>",
    "{{ 7 * 7 }}{% raw %}",
    "a\u202eb\x00\x1b[2Jc",
)


@pytest.fixture
def anyio_backend() -> str:
    """A browser is a process: it is the same one whatever waits for it."""
    return "asyncio"


def page_of(record: Record, before: Record | None = None) -> str:
    timed = timeline(record)
    return page(timed, of_timeline(record, timed, running=False, before=before))


def hostile(text: str) -> Record:
    """A run in which every text that may be foreign is this one."""
    app = RecordedApp(name=text, path=text, language=text, version=text, reason=text)
    header = Header(time=BEGAN, run="r", version=text, source=text, branch=text, revision=text, apps=(app,))
    return Record(
        header=header,
        events=(
            RunStarted(time=BEGAN, apps=(text,), builder=text, jobs=1),
            AppStarted(time=BEGAN + 1, app=text, host=text, image=text, language=text),
            StepCompleted(time=BEGAN + 5, app=text, step="s", name=text, cached=False, seconds=3, started=BEGAN + 2),
            AppFailed(
                time=BEGAN + 6, app=text, kind="build", message=text, hint=text, transient=False, seconds=5,
                file=text, line=1, source=(text,), command=text, log=(text, text),
            ),
        ),
    )  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)


_PLAIN = _Reader(page_of(hostile("plain")))


@settings(deadline=None)
@given(st.one_of(st.text(), st.sampled_from(_HOSTILE), st.text(alphabet="<>\"'&/={}% a")))
def test_no_text_makes_an_element_or_an_attribute(text: str) -> None:
    read = _Reader(page_of(hostile(text or "x")))

    assert read.tags == _PLAIN.tags
    assert read.attributes == _PLAIN.attributes
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(read.tags)
    assert not {"style", "src", "href", "onerror", "onload"} & read.attributes


def test_a_page_of_a_thousand_apps_stays_of_a_size_that_can_be_shown() -> None:
    steps = tuple(MadeStep(name="[1/1] RUN make", seconds=1.0, needs=(n - 1,) if n else ()) for n in range(20))

    made = page_of(simulate([MadeApp(steps=steps)] * 1000, jobs=8))

    assert made.count('<tr class="app">') == 1000
    assert len(made) < 5_000_000


@pytest.mark.real
@pytest.mark.apart
async def test_a_browser_shows_every_app_by_its_builder_with_its_steps_and_asks_for_nothing(tmp_path: Path) -> None:
    steps = (
        MadeStep(name="[install 2/2] RUN npm ci", seconds=2.0),
        MadeStep(name="[2/2] RUN make", seconds=3.0, needs=(0,)),
        MadeStep(name="[2/2] COPY . .", seconds=1.0, cached=True),
    )
    record = simulate([MadeApp(steps=steps), MadeApp(steps=steps, before=1.0)], jobs=1)
    file = tmp_path / "page.html"
    file.write_text(page_of(record, before=simulate([MadeApp(steps=steps)], jobs=1, run="earlier")))

    shown = await render(file, tmp_path)
    picture = tmp_path / "page.png"
    await render(file, tmp_path, screenshot=picture)

    read = _Reader(shown.dom)
    assert (shown.console, shown.requested) == ((), ())
    assert shown.dom.count('<tr class="app">') == 2
    # The whole, its steps, and that the second one waited.
    assert read.tags.count("rect") == 2 * 4 + 1
    assert shown.dom.count('class="build cached"') == 2
    assert "[install 2/2] RUN npm ci: 2.0s" in shown.dom
    assert "The run before: earlier" in shown.dom
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("text", _HOSTILE)
async def test_a_browser_runs_nothing_of_what_names_and_logs_say(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(hostile(text)), encoding="utf-8", errors="replace")

    shown = await render(file, tmp_path)

    assert (shown.console, shown.requested) == ((), ())
    assert "<title>fleetpacks: r</title>" in shown.dom
    assert _Reader(shown.dom).tags.count("pre") == 2


class _Visited:
    def __init__(self) -> None:
        self.port = 0
        self.requests: list[bytes] = []


@pytest.fixture
async def visited() -> AsyncGenerator[_Visited]:
    """A server on this machine that notes who comes."""
    server = _Visited()

    async def answer(stream: ByteStream) -> None:
        async with stream:
            server.requests.append(await stream.receive())
            await stream.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        server.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
        tasks.start_soon(listener.serve, answer)
        yield server
        tasks.cancel_scope.cancel()


@pytest.mark.real
@pytest.mark.apart
async def test_should_markup_get_through_the_pages_policy_stops_it(tmp_path: Path, visited: _Visited) -> None:
    # An escape that is missing, made by hand: that the same markup does act without the policy shows that it could.
    injected = f"<script>document.title='pwned'</script><img src=http://127.0.0.1:{visited.port}/img>"
    guarded = page_of(simulate([MadeApp()], jobs=1)).replace("<h1>", f"{injected}<h1>")
    policy = next(line for line in guarded.splitlines() if "Content-Security-Policy" in line)
    with_policy, without = tmp_path / "with.html", tmp_path / "without.html"
    with_policy.write_text(guarded)
    without.write_text(guarded.replace(policy, ""))

    bare = await render(without, tmp_path)
    seen = len(visited.requests)
    held = await render(with_policy, tmp_path)

    assert ("<title>pwned</title>" in bare.dom, seen) == (True, 1)
    assert "<title>pwned</title>" not in held.dom
    assert len(visited.requests) == seen
    assert len(held.console) == 2
    assert all("Content Security Policy" in said for said in held.console)


def test_the_page_says_whether_layer_caches_pay() -> None:
    made = page_of(simulate([MadeApp(cache=2.0)], jobs=1))

    assert "whether layer caches pay is not known yet: writing 1 took 2.0s" in made


def test_the_page_of_a_record_without_a_run_says_why() -> None:
    record = simulate([], jobs=1)

    made = page_of(msgspec.structs.replace(record, events=()))

    assert "unfinished" in made
