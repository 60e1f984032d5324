// Labels of tokens: their text, with signs for characters that cannot be seen.

const SIGNS: Record<string, string> = { "\n": "⏎", "\t": "⇥", "\r": "␍" };

/** A token's text on one line. Spaces at the ends are shown as ␣; "" is ∅. */
export function visible(text: string): string {
  if (text === "") return "∅";
  return text
    .replace(/^ +| +$| {2,}/g, (spaces) => "␣".repeat(spaces.length))
    .replace(/[\n\t\r]/g, (sign) => SIGNS[sign] as string)
    .replace(/[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (sign) =>
      /[\u200c\u200d]/.test(sign) ? sign : `\\u{${(sign.codePointAt(0) as number).toString(16)}}`,
    )
    .replace(/^\p{M}/u, (mark) => "◌" + mark);
}

/** A number with a fixed count of decimals, a true minus sign, and signs for infinities. */
export function digits(x: number, decimals = 2): string {
  if (x === Infinity) return "∞";
  if (x === -Infinity) return "−∞";
  if (Number.isNaN(x)) return "NaN";
  const text = Math.abs(x).toFixed(decimals);
  return x < 0 && Number(text) !== 0 ? "−" + text : text;
}

/** Read a number that `digits` wrote. */
export function parsed(text: string): number {
  const plain = text.replace("−", "-").replace("∞", "Infinity");
  return Number(plain);
}
