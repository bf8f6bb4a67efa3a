import { Hono } from "hono";

const app = new Hono();

app.get("/:name?", (context) => context.json({ hello: context.req.param("name") ?? "deno", path: context.req.path }));

Deno.serve({ hostname: "0.0.0.0", port: Number(Deno.env.get("PORT")) }, app.fetch);
