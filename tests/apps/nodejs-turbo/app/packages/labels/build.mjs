import { mkdirSync, writeFileSync } from "node:fs";

mkdirSync("dist", { recursive: true });
writeFileSync("dist/labels.json", JSON.stringify({ hour: "hour", day: "day" }));
