const http = require("node:http");
const sharp = require("sharp");

const square = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="#c00"/></svg>');

http
  .createServer(async (request, response) => {
    const small = await sharp(square).resize(16, 8).webp().toBuffer();
    const { format, width, height } = await sharp(small).metadata();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ format, width, height }));
  })
  .listen(process.env.PORT);
