const HOURS_BETWEEN_HIGH_TIDES = 12.42

export default async function root(fastify) {
  fastify.get('/', async () => ({ perWeek: Math.floor((7 * 24) / HOURS_BETWEEN_HIGH_TIDES) }))
}
