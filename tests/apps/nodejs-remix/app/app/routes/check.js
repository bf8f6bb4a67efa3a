import { json } from "@remix-run/node";

// What the server says of itself: the page, a script that the page asks for, and a public file.
export async function loader() {
  const origin = `http://127.0.0.1:${process.env.PORT}`;
  const page = await (await fetch(origin)).text();
  const script = await fetch(origin + page.match(/\/assets\/[^"]+\.js/)[0]);
  const robots = await fetch(`${origin}/robots.txt`);
  return json({
    heading: page.match(/<h1>(.*?)<\/h1>/)[1],
    script: script.status,
    robots: (await robots.text()).trim(),
  });
}
