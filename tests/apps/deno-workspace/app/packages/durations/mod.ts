import ms from "ms";
import { counted } from "@acme/words";

export function describe(text: string): { milliseconds: number; words: string } {
  const milliseconds = ms(text as "2 days");
  return { milliseconds, words: counted("hour", milliseconds / ms("1h")) };
}
