export default function Page() {
  return <h1>Rendered by Next.js</h1>;
}
