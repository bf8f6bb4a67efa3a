const http = require('node:http')
const ms = require('ms')

http
  .createServer((request, response) => response.end(JSON.stringify({ fortnight: ms('14 days') })))
  .listen(process.env.PORT)
