// Widths of labels in pictures, without asking the browser.

export const SMALL = 11;
const LONGEST = 12;

/** Width of the widest text in pixels, at the small font size. */
export function room(texts: readonly string[]): number {
  return texts.reduce((widest, each) => Math.max(widest, columns(each)), 0) * SMALL * 0.6;
}

/** How far labels that rise at 50° reach beyond the last column, in pixels. */
export function overhang(names: readonly string[], cell: number): number {
  const beyond = names.map((name, j) => room([name]) * 0.65 + 4 - (names.length - j - 0.5) * cell);
  return Math.max(0, ...beyond);
}

export function shortened(text: string, limit = LONGEST): string {
  const chars = [...text];
  return chars.length <= limit ? text : chars.slice(0, limit - 1).join("") + "…";
}

/** A Chinese, Japanese or Korean character takes two columns. */
function columns(text: string): number {
  let n = 0;
  for (const char of text) n += /[\u1100-\u115f\u2e80-\uffdc]|\p{Extended_Pictographic}/u.test(char) ? 2 : 1;
  return n;
}
