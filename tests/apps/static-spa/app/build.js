import { mkdir, readFile, writeFile } from "node:fs/promises";
import { marked } from "marked";

const page = await readFile("page.md", "utf8");
await mkdir("dist", { recursive: true });
await writeFile("dist/index.html", marked.parse(page));
