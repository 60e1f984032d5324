// Figures as the command line shows them.
import type { RunRow } from "./api";
import { t } from "./i18n";

export function loss(value: number | null): string {
  return value === null ? "" : value.toFixed(3);
}

export function percent(value: number | null): string {
  return value === null ? "" : `${(100 * value).toFixed(1)}%`;
}

/** The result of a run: exact answers where the task has them, else the held-out loss. */
export function result(run: RunRow): string {
  return run.exact === null ? loss(run.loss) : percent(run.exact);
}

export function counted(run: RunRow): string {
  const figure = run.baseline_exact === null ? loss(run.baseline_loss) : percent(run.baseline_exact);
  return figure && `${figure} ${run.baseline}`;
}

/** Rough time of a step, in seconds or minutes. */
export function span(seconds: number): string {
  return seconds < 60 ? t("chapters.seconds", { n: seconds }) : t("chapters.minutes", { n: Math.round(seconds / 60) });
}
