import { mkdirSync, writeFileSync } from "node:fs";

import escape from "escape-html";

const dish: string = "fish & chips";

mkdirSync("web/dist", { recursive: true });
writeFileSync("web/dist/index.html", `<p>${escape(dish)}</p>\n`);
