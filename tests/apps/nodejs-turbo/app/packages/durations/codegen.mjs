// Reads what no manifest names: a schema of the repository, and what another package's build makes.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const units = read("../../schemas/units.json");
const labels = read("../labels/dist/labels.json");

const lines = Object.keys(units).map((unit) => `export const ${unit} = { milliseconds: ${units[unit]}, label: "${labels[unit]}" };`);
mkdirSync(new URL("src/generated/", import.meta.url), { recursive: true });
writeFileSync(new URL("src/generated/units.ts", import.meta.url), lines.join("\n") + "\n");
