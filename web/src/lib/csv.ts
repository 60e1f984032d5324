// Tables of numbers as CSV.

/** Quote a field where CSV needs it. A text that a spreadsheet would run as a formula gets an apostrophe. */
export function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A matrix with labels of its rows and columns; all digits of each number. */
export function csvOf(rows: readonly string[], cols: readonly string[], value: (i: number, j: number) => number): string {
  return csvLines([["", ...cols], ...rows.map((label, i) => [label, ...cols.map((_, j) => String(value(i, j)))])]);
}

/** Lines of fields. */
export function csvLines(lines: readonly (readonly string[])[]): string {
  return lines.map((line) => line.map(field).join(",") + "\n").join("");
}
