export default function Home() {
  return <h1>Rendered by Remix</h1>;
}
