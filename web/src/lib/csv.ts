// Tables of numbers as CSV.

/** Quote a field where CSV needs it. A text that a spreadsheet would run as a formula gets an apostrophe. */
export function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A matrix with labels of its rows and columns; all digits of each number. */
export function csvOf(rows: readonly string[], cols: readonly string[], value: (i: number, j: number) => number): string {
  const lines = [["", ...cols].map(field).join(",")];
  rows.forEach((label, i) => lines.push([field(label), ...cols.map((_, j) => String(value(i, j)))].join(",")));
  return lines.join("\n") + "\n";
}
