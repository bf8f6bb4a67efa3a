import ms from "npm:ms@2.1.3";

Deno.serve((request) => {
  const wanted = new URL(request.url).searchParams.get("in") ?? "2 days";
  return Response.json({ wanted, milliseconds: ms(wanted) });
});
