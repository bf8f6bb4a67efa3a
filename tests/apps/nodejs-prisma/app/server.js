import http from "node:http";

import { PrismaClient } from "@prisma/client";
import { PrismaLibSql } from "@prisma/adapter-libsql";

const prisma = new PrismaClient({ adapter: new PrismaLibSql({ url: "file:/tmp/tides.db" }) });

await prisma.$executeRaw`CREATE TABLE "Tide" (id INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT UNIQUE NOT NULL, high TEXT NOT NULL)`;
await prisma.tide.create({ data: { place: "Hamburg", high: "06:12" } });

http
  .createServer(async (request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(await prisma.tide.findMany()));
  })
  .listen(process.env.PORT);
