import * as React from "react";
import { Link } from "gatsby";

export default function Home() {
  return <Link to="/about/">About</Link>;
}
