const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const { counted } = require("@acme/words");

mkdirSync("dist", { recursive: true });
writeFileSync("dist/index.html", readFileSync("index.html", "utf8").replace("COUNT", counted("page", 12)));
