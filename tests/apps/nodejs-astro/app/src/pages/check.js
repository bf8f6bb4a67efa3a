// What the server says of itself: the page, and a public file.
export async function GET() {
  const origin = `http://127.0.0.1:${process.env.PORT}`;
  const page = await (await fetch(origin)).text();
  const robots = await fetch(`${origin}/robots.txt`);
  return Response.json({ heading: page.match(/<h1>(.*?)<\/h1>/)[1], robots: (await robots.text()).trim() });
}
