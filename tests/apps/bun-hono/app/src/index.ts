import { Hono } from "hono";

const app = new Hono();

app.get("/:name?", (context) => context.json({ hello: context.req.param("name") ?? "bun", path: context.req.path }));

export default { port: process.env.PORT, hostname: "0.0.0.0", fetch: app.fetch };
