import fastify from "fastify";
await fastify().listen({ port: Number(process.env.PORT) });
