const { createServer } = require("node:http");

createServer((request, response) => {
  const words = new URL(request.url, "http://localhost").searchParams.getAll("word");
  const sorted = words.sort(new Intl.Collator("sv").compare);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ sorted }));
}).listen(process.env.PORT);
