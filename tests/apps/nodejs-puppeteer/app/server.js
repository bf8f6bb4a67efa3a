const http = require("node:http");
const puppeteer = require("puppeteer");

// Chromium's own sandbox wants user namespaces, which containers rarely have; what is opened here is ours.
const browser = puppeteer.launch({ args: ["--no-sandbox", "--disable-dev-shm-usage"] });

http
  .createServer(async (request, response) => {
    const page = await (await browser).newPage();
    await page.setContent("<ul><li>tea</li><li>cups</li></ul>");
    const words = await page.$$eval("li", (items) => items.map((item) => item.textContent));
    const pdf = await page.pdf();
    await page.close();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ words, pdf: Buffer.from(pdf.slice(0, 4)).toString() }));
  })
  .listen(process.env.PORT);
