"""What of a Ruby app can be started, and by which server: Rails, Rack, sources that serve by themselves."""

import re
from typing import Final

from langs import base, commands, procfile
from langs.errors import LangError
from langs.files import AppFiles
from langs.gemfile import Bundle
from langs.model import Evidence

ENTRY_POINTS: Final = ("config.ru", "app.rb", "main.rb", "server.rb")
PROGRAMS: Final = frozenset(
    {"bundle", "falcon", "iodine", "passenger", "puma", "rackup", "rails", "rake", "ruby", "sidekiq", "thin", "unicorn"}
)

_RAILS: Final = "config/application.rb"
_RACKUP: Final = "config.ru"
_SERVES: Final = re.compile(
    r"\b(?:Async::HTTP|Cuba|Falcon|Grape|Hanami|Puma|Rack|Roda|Sinatra|TCPServer|WEBrick|sinatra)\b"
)
_CLASSIC: Final = re.compile(
    r"^[ \t]*(?:require[ \t(]+['\"]sinatra['\"]|(?:\w+\.)?run![ \t(]*(?:if\b|\)|$)|Rackup?::(?:Handler|Server))",
    re.MULTILINE,
)
"""What makes a source serve by being run: Sinatra's classic style (its README), and its modular one with `run!`."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_MAX_SCRIPTS: Final = 50
_SERVERS: Final = (
    ("puma", "bundle exec puma --bind tcp://0.0.0.0:$PORT"),
    ("falcon", "bundle exec falcon serve --bind http://0.0.0.0:$PORT"),
    ("unicorn", "bundle exec unicorn --listen 0.0.0.0:$PORT"),
    ("thin", "bundle exec thin start --address 0.0.0.0 --port $PORT"),
)
_ROUTES: Final = "config/routes.rb"
_HEALTH: Final = re.compile(
    r"""^[ \t]*get[ \t(]+["']([A-Za-z0-9/_-]{1,100})["'][ \t]*(?:=>|,[ \t]*to:)[ \t]*["']rails/health#show["']""",
    re.MULTILINE,
)
"""As Rails writes it into a new application: guides.rubyonrails.org/configuring.html and its template of routes.rb."""
_HEALTH_SINCE: Final = (7, 1)
_RACKUPS: Final = frozenset({"rackup", "webrick"})
_ASSET_PIPELINES: Final = frozenset({"propshaft", "shakapacker", "vite_rails", "webpacker"})


def starts(files: AppFiles, *, manifest: bool) -> Evidence | None:
    """What shows that something here can be started.

    Raises:
        LangError: the Procfile cannot be understood.
    """
    if is_rails(files):
        return Evidence(file=_RAILS, reason="a Rails application")
    if files.exists(_RACKUP):
        return Evidence(file=_RACKUP, reason="a Rack application")
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    if web and commands.program(web[0].command) in PROGRAMS:
        return Evidence(file=procfile.FILE, reason="web runs Ruby")
    entry = files.first(*ENTRY_POINTS)
    if entry is not None and (manifest or _SERVES.search(_text_of(files, entry))):
        return Evidence(file=entry, reason="the entry of a bundle" if manifest else "it serves")
    script = _script(files) if manifest else None
    return Evidence(file=script, reason="it serves when it is run") if script else None


def default_start(files: AppFiles, bundle: Bundle | None) -> str | None:
    """The start command when neither configuration nor Procfile gives one.

    Raises:
        LangError: there is a Rack application, and nothing that could serve it.
    """
    names = bundle.names if bundle else frozenset[str]()
    if files.exists(_RACKUP):
        if bundle is None:
            raise LangError(
                "nothing says which gems it needs",
                file=_RACKUP,
                hint="Add a Gemfile with `rack` and a server such as `puma`, and run `bundle install`.",
            )
        for gem, command in _SERVERS:
            if gem in names:
                return command
        if "rails" in names:
            return "bundle exec rails server --binding 0.0.0.0 --port $PORT"
        # Rack 3 left its command to a gem of its own.
        if names & _RACKUPS or (bundle.release("rack") and bundle.release("rack") < (3,)):
            return "bundle exec rackup --host 0.0.0.0 --port $PORT"
        raise LangError(
            "the bundle holds no server that could start the application",
            file=bundle.gemfile.file,
            hint=f'Add `gem "puma"` and run `bundle install`, or set {base.RUN_SETTING}.',
        )
    entry = files.first(*ENTRY_POINTS) or (_script(files) if bundle else None)
    if entry is None:
        return None
    return f"bundle exec ruby {entry}" if bundle else f"ruby {entry}"


def _script(files: AppFiles) -> str | None:
    """The source of any name that serves when it is run; None where several do."""
    found = [file for file in files.glob("*.rb")[:_MAX_SCRIPTS] if _CLASSIC.search(_text_of(files, file))]
    return found[0] if len(found) == 1 and _PLAIN.fullmatch(found[0]) else None


def is_rails(files: AppFiles) -> bool:
    """Whether it has the files of a Rails application."""
    return files.exists(_RAILS) and files.exists(_RACKUP)


def has_assets(files: AppFiles, bundle: Bundle) -> bool:
    """Whether `rails assets:precompile` exists. Before 7, Rails brings Sprockets along, which an API leaves out."""
    names = bundle.names
    if names & _ASSET_PIPELINES or "sprockets-rails" in bundle.gemfile.gems:
        return True
    return "sprockets-rails" in names and files.has_directory("app/assets")


def health(files: AppFiles, bundle: Bundle) -> str | None:
    """The path of Rails's own answer to whether it is well: since 7.1, where the routes still have it."""
    routes = _text_of(files, _ROUTES)
    found = _HEALTH.search(routes) if bundle.release("rails")[:2] >= _HEALTH_SINCE else None
    return f"/{found[1].lstrip('/')}" if found else None


def _text_of(files: AppFiles, file: str) -> str:
    """A source's text; a source that cannot be read is no evidence."""
    try:
        return files.read_text(file) or ""
    except LangError:
        return ""
