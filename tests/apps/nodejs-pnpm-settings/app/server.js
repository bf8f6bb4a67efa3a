import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();

app.get("/:name?", (context) => context.json({ hello: context.req.param("name") ?? "pnpm", path: context.req.path }));

const server = serve({ fetch: app.fetch, hostname: "0.0.0.0", port: Number(process.env.PORT) });
process.once("SIGTERM", () => server.close());
