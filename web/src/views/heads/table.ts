// Rows of the table of heads: their names, order, and the head that leads in each share.
import type { AttentionInfo, HeadRow, TraceHeader } from "../../lib/api";
import { t } from "../../lib/i18n";
import { nameOf } from "../shared/names";

export const SHARES = ["itself", "previous", "next", "first", "copy", "induction"] as const;
export type Share = (typeof SHARES)[number];
export type Column = "name" | Share | "spread";
/** Queries with a copy below which the text shows nothing about copying, as in glassgpt.lens. */
export const MIN_COPIES = 3;

export interface Named extends HeadRow {
  name: string;
  said: string;
  attentionInfo: AttentionInfo;
}

export function named(header: TraceHeader, rows: readonly HeadRow[]): Named[] {
  return rows.flatMap((row) => {
    const info = header.attentions.find((each) => each.path === row.attention);
    return info ? [{ ...row, name: nameOf(info, row.head), said: roleOf(header, info, row), attentionInfo: info }] : [];
  });
}

function roleOf({ source, tokens }: TraceHeader, { kind }: AttentionInfo, { role, place }: HeadRow): string {
  const keys = (kind === "cross" || kind === "encoder") && source.length ? source : tokens;
  return t(`heads.role.${role}`, { place: keys[place]?.shown ?? place });
}

/** Sorted by a column; `name` is the order of the model, and heads without a share come last. */
export function sorted(rows: readonly Named[], column: Column, down: boolean): Named[] {
  if (column === "name") return down ? [...rows].reverse() : [...rows];
  const of = (row: Named): number => row[column] ?? (down ? -1 : Infinity);
  return [...rows].sort((a, b) => (down ? of(b) - of(a) : of(a) - of(b)));
}

/** The head with the largest share, of each share that any head has. */
export function leaders(rows: readonly Named[]): { share: Share; row: Named; value: number }[] {
  return SHARES.flatMap((share) => {
    const best = sorted(rows, share, true)[0];
    const value = best?.[share];
    return best && typeof value === "number" ? [{ share, row: best, value }] : [];
  });
}
