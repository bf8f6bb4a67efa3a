require("node:fs").writeFileSync("setup.json", "{}");
