// What the server says of itself: the page, a script that the page asks for, and what a dependency makes.
import { json } from "@sveltejs/kit";
import { marked } from "marked";

export async function GET() {
  const origin = `http://127.0.0.1:${process.env.PORT}`;
  const page = await (await fetch(origin)).text();
  const script = await fetch(new URL(page.match(/[./]*_app\/immutable\/entry\/[^"]+\.js/)[0], `${origin}/`));
  return json({
    heading: page.match(/<h1>(.*?)<\/h1>/)[1],
    script: script.status,
    marked: marked.parseInline("*made*"),
  });
}
