import { counted } from "../../packages/words/mod.ts";

Deno.serve({ port: Number(Deno.env.get("PORT")) }, () => new Response(counted("page", 3)));
