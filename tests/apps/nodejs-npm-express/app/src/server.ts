import express from "express";
import ms from "ms";

const app = express();

app.get("/", (_request, response) => {
  response.json({ milliseconds: ms("2 days"), words: ms(5_400_000, { long: true }) });
});

const server = app.listen(Number(process.env.PORT), "0.0.0.0");
process.once("SIGTERM", () => server.close());
