"""Which framework an example app shows: the one that its directory is named after, as in `python-django-static`.

Nothing else is needed for an app to be found below its framework's heading; a test holds that its files speak of it.
"""

import msgspec


class Framework(msgspec.Struct, frozen=True):
    """A framework."""

    title: str
    """As its own pages write it."""
    names: tuple[str, ...]
    """As directories are named."""
    mark: str = ""
    """What the app's files say, in small letters; empty: the first of the names."""

    @property
    def said(self) -> str:
        """What the files of its apps hold."""
        return self.mark or self.names[0]


_FRAMEWORKS = (
    Framework("Actix Web", ("actix",)),
    Framework("aiohttp", ("aiohttp",)),
    Framework("Angular", ("angular",)),
    Framework("ASP.NET Core", ("aspnet", "web-api"), "microsoft.net.sdk.web"),
    Framework("Astro", ("astro",)),
    Framework("Axum", ("axum",)),
    Framework("Bandit", ("bandit",)),
    Framework("Blazor", ("blazor",)),
    Framework("Cask", ("cask",)),
    Framework("chi", ("chi",), "go-chi/chi"),
    Framework("Create React App", ("cra", "create-react-app"), "react-scripts"),
    Framework("Django", ("django",)),
    Framework("Docusaurus", ("docusaurus",)),
    Framework("Echo", ("echo",), "labstack/echo"),
    Framework("Eleventy", ("eleventy", "11ty"), "11ty"),
    Framework("Elysia", ("elysia",)),
    Framework("Express", ("express",)),
    Framework("FastAPI", ("fastapi",)),
    Framework("Fastify", ("fastify",)),
    Framework("Fiber", ("fiber",), "gofiber/fiber"),
    Framework("Flask", ("flask",)),
    Framework("Fresh", ("fresh",)),
    Framework("Gatsby", ("gatsby",)),
    Framework("Gin", ("gin",), "gin-gonic/gin"),
    Framework("Hanami", ("hanami",)),
    Framework("Helidon", ("helidon",)),
    Framework("Hono", ("hono",)),
    Framework("http4s", ("http4s",)),
    Framework("Javalin", ("javalin",)),
    Framework("Koa", ("koa",)),
    Framework("Ktor", ("ktor",)),
    Framework("Laravel", ("laravel",)),
    Framework("Litestar", ("litestar",)),
    Framework("Micronaut", ("micronaut",)),
    Framework("Nest", ("nest", "nestjs")),
    Framework("Next.js", ("next", "nextjs")),
    Framework("Nuxt", ("nuxt",)),
    Framework("Phoenix", ("phoenix",)),
    Framework("Play", ("play",)),
    Framework("Quarkus", ("quarkus",)),
    Framework("Rack", ("rack",)),
    Framework("Rails", ("rails",)),
    Framework("React Router", ("react-router",)),
    Framework("Remix", ("remix",)),
    Framework("Ring", ("ring",)),
    Framework("Rocket", ("rocket",)),
    Framework("Sanic", ("sanic",)),
    Framework("Sinatra", ("sinatra",)),
    Framework("Slim", ("slim",), "slim/slim"),
    Framework("Solid", ("solid", "solidstart"), "solid-js"),
    Framework("Spark", ("spark",)),
    Framework("Spring Boot", ("spring", "spring-boot"), "springframework"),
    Framework("Starlette", ("starlette",)),
    Framework("Streamlit", ("streamlit",)),
    Framework("SvelteKit", ("sveltekit", "svelte"), "svelte"),
    Framework("Symfony", ("symfony",)),
    Framework("Vite", ("vite",)),
    Framework("VitePress", ("vitepress",)),
    Framework("Vue", ("vue",)),
)


def of(case: str) -> Framework | None:
    """The framework of the example app of this name; of two, the one with the longer name."""
    words = f"{case.partition('-')[2]}-"
    found = [(len(name), each) for each in _FRAMEWORKS for name in each.names if f"-{name}-" in f"-{words}"]
    return max(found, key=lambda pair: pair[0])[1] if found else None
