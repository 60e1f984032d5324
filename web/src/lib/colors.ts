// Colors for color-blind readers, on a light or a dark ground: those of the package's plots.

export interface Theme {
  readonly ground: string;
  readonly text: string;
  readonly faint: string;
  readonly line: string;
  readonly mark: string;
  readonly masked: string;
  readonly hatch: string;
  readonly palette: readonly string[];
  readonly sequential: readonly string[];
  readonly diverging: readonly string[];
}

export const LIGHT: Theme = {
  ground: "#FFFFFF",
  text: "#222222",
  faint: "#5F5F5F",
  line: "#DDDDDD",
  mark: "#D55E00",
  masked: "#F0F0F0",
  hatch: "#CCCCCC",
  palette: ["#0054B4", "#B63000", "#00854E", "#CC79A7", "#D97A00", "#638FFF", "#4D4D4D"],
  sequential: ["#FFFFFF", "#CFE2F3", "#7DB3DC", "#2E7EBB", "#08417C", "#04244A"],
  diverging: ["#7A2E00", "#D55E00", "#F6B98B", "#FFFFFF", "#9CC8E6", "#0072B2", "#003B66"],
};

export const DARK: Theme = {
  ground: "#1D2026",
  text: "#E8E8E8",
  faint: "#A0A5AB",
  line: "#3A4047",
  mark: "#F58634",
  masked: "#22272D",
  hatch: "#4A515A",
  palette: ["#3E91FB", "#EA7123", "#3EF089", "#B06DA8", "#F5EF45", "#CBFDFD", "#8F9C7D"],
  sequential: ["#1D2026", "#123A63", "#1F69A8", "#4FA0D8", "#9CD0F2", "#E6F5FF"],
  diverging: ["#FFDCC2", "#F58634", "#8A3F0B", "#1D2026", "#124E80", "#4FA0D8", "#D3ECFF"],
};

/** The color at a place from 0 to 1 of a scale. */
export function blend(stops: readonly string[], place: number): string {
  const along = Math.min(1, Math.max(0, place)) * (stops.length - 1);
  const left = Math.min(Math.floor(along), stops.length - 2);
  const [a, b] = [rgb(stops[left] as string), rgb(stops[left + 1] as string)];
  const share = along - left;
  return hex(a.map((c, i) => Math.round(c + share * ((b[i] as number) - c))));
}

export type Scale = (value: number) => string;

/** The numbers at the ends of the scale of some values: from 0, or around 0 where values are negative. */
export function rangeOf(values: ArrayLike<number>, limit?: number): [low: number, high: number] {
  let [low, high] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const each = values[i] as number;
    if (!Number.isFinite(each)) continue;
    if (each < low) low = each;
    if (each > high) high = each;
  }
  const reach = limit ?? (Math.max(-low, high) || 1);
  return [low < 0 ? -reach : 0, reach];
}

/** Colors from the ground (0) to the largest value; orange to blue where values are negative. */
export function scaleOf(values: ArrayLike<number>, theme: Theme, limit?: number): Scale {
  const [low, high] = rangeOf(values, limit);
  const stops = stopsFrom(low, theme);
  return (each) => blend(stops, (each - low) / (high - low));
}

/** The stops of a scale that begins at `low`. */
export function stopsFrom(low: number, theme: Theme): readonly string[] {
  return low < 0 ? theme.diverging : theme.sequential;
}

/** The text color, black or white, with more contrast to a background: at least 4.5 : 1. Source: WCAG 2.2. */
export function ink(background: string): string {
  const [red, green, blue] = rgb(background).map((c) => {
    const share = c / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#FFFFFF";
}

function rgb(color: string): number[] {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

function hex(channels: number[]): string {
  return "#" + channels.map((c) => c.toString(16).padStart(2, "0")).join("");
}
