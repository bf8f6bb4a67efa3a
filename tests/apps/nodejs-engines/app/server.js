import { createServer } from 'node:http'
import { matchPath } from 'react-router'

createServer((request, response) => {
  const found = matchPath('/articles/:id', request.url ?? '/')
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ article: found?.params.id ?? null }))
}).listen(process.env.PORT)
