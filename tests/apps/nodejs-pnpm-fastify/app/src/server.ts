import fastify from "fastify";
import ms from "ms";

const app = fastify();

app.get("/", async () => ({ fortnight: ms("1 fortnight") / ms("1 day") }));

await app.listen({ host: "0.0.0.0", port: Number(process.env.PORT) });
process.once("SIGTERM", () => void app.close());
