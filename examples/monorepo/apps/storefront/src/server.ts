import { serve } from "@hono/node-server";
import { Eta } from "eta";
import { Hono } from "hono";

import { catalogue } from "./catalogue";

const page = "<ul><% it.products.forEach((p) => { %><li><a href=\"/p/<%= p.path %>\"><%= p.title %></a></li><% }) %></ul>";
const eta = new Eta();
const app = new Hono();

app.get("/", (c) => c.json({ app: "storefront", computed_by: "slugify", paths: catalogue().map((p) => p.path) }));
app.get("/catalogue", (c) => c.html(eta.renderString(page, { products: catalogue() })));

const port = Number(process.env.PORT ?? 5000);
const server = serve({ fetch: app.fetch, hostname: "0.0.0.0", port }, () => console.log(`storefront listens on ${port}`));

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
