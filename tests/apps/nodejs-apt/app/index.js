const { execFileSync } = require("node:child_process");
const { readFileSync } = require("node:fs");

require("node:http")
  .createServer((request, response) => {
    if (request.url === "/healthz") {
      response.end("well\n");
      return;
    }
    const digits = readFileSync("digits.txt", "utf8").trim();
    response.end(execFileSync("jq", ["--null-input", "--arg", "pi", digits, "{pi: $pi[:12], digits: ($pi | length)}"]));
  })
  .listen(process.env.PORT);
