export default function Article({ params }) {
  return <h1>Article {params.id}</h1>;
}
