"use strict";

const currency = require("currency.js");
const express = require("express");
const helmet = require("helmet");
const ms = require("ms");
const { nanoid } = require("nanoid");

const basket = ["34.50", "59.00", "0.10", "0.20"];

const app = express();
app.use(helmet());
app.use((request, response, next) => {
  response.set("x-request-id", nanoid());
  next();
});

app.get("/", (request, response) => {
  const total = basket.reduce((sum, price) => sum.add(price), currency(0));
  response.set("cache-control", `max-age=${ms("5 minutes") / 1000}`);
  response.json({ app: "api", computed_by: "currency.js", total: total.format({ symbol: "£" }) });
});

const port = Number(process.env.PORT ?? 5000);
const server = app.listen(port, "0.0.0.0", () => console.log(`api listens on ${port}`));

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
