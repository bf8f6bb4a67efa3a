const http = require("node:http");
const { chromium } = require("playwright");

const browser = chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--disable-dev-shm-usage"] });

http
  .createServer(async (request, response) => {
    const page = await (await browser).newPage();
    await page.setContent("<h1>Tides</h1><button onclick=\"this.textContent = 'high'\">low</button>");
    await page.getByRole("button").click();
    const answer = { heading: await page.textContent("h1"), button: await page.textContent("button") };
    await page.close();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer));
  })
  .listen(process.env.PORT);
