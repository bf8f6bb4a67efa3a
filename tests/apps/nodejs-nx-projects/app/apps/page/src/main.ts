import { createServer } from "node:http";

import { inWords } from "@harbour/units";

createServer((request, response) => response.end(`<p>${inWords(3600000)}</p>`)).listen(Number(process.env.PORT));
