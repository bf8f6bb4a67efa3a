import { createServer } from "node:http";

import { inWords } from "@harbour/units";

createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ words: inWords(172800000) }));
}).listen(Number(process.env.PORT));
