import ms from "ms";

export const inWords = (milliseconds: number): string => ms(milliseconds, { long: true });
