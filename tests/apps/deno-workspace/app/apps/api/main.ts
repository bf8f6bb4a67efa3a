import { Hono } from "hono";
import { describe } from "@acme/durations";

const app = new Hono();
app.get("/", (context) => context.json(describe("2 days")));

Deno.serve({ port: Number(Deno.env.get("PORT")) }, app.fetch);
