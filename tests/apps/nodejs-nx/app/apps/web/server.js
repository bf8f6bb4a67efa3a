const { createServer } = require("node:http");
const escape = require("escape-html");
const { counted } = require("@acme/words");

createServer((request, response) => response.end(escape(`<${counted("page", 3)}>`))).listen(Number(process.env.PORT));
