import ms from "ms";
import { counted } from "@acme/words";
import { hour } from "./generated/units";

export function describe(text: string): { milliseconds: number; words: string } {
  const milliseconds = ms(text);
  return { milliseconds, words: counted(hour.label, milliseconds / hour.milliseconds) };
}
