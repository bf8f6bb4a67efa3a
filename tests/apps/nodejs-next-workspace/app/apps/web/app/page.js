import { heading } from "words";

export default function Page() {
  return <h1>{heading}</h1>;
}
