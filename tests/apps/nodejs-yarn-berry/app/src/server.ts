import { createServer } from "node:http";
import ms from "ms";

const server = createServer((_request, response) => {
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ hours: ms("1.5 days") / ms("1h") }));
});
server.listen(Number(process.env.PORT), "0.0.0.0");
process.once("SIGTERM", () => server.close());
