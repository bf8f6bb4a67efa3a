export const counted = (word: string, count: number): string => `${count} ${word}${count === 1 ? "" : "s"}`;
