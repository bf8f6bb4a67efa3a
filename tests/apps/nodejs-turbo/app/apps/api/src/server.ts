import { createServer } from "node:http";
import { describe } from "@acme/durations";

const server = createServer((request, response) => {
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(describe("2 days")));
});

server.listen(Number(process.env.PORT));
process.on("SIGTERM", () => server.close());
