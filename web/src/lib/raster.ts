// Matrices as pixels, one a cell.
import { blend, rangeOf, stopsFrom, type Theme } from "./colors";
import { matrixShape, type Tensor } from "./tensor";

const SHADES = 1024;

/** Draw a matrix into a canvas, one pixel a cell. −∞ has the color of masked cells. */
export function paint(canvas: HTMLCanvasElement, values: Tensor, theme: Theme, limit?: number): void {
  const [T, S] = matrixShape(values);
  [canvas.width, canvas.height] = [S, T];
  const context = canvas.getContext("2d");
  if (!context || !T || !S) return;
  const image = context.createImageData(S, T);
  const cells = new Uint32Array(image.data.buffer);
  const [low, high] = rangeOf(values.data, limit);
  const shades = shadesOf(stopsFrom(low, theme));
  const masked = word(theme.masked);
  const factor = SHADES / (high - low);
  for (let at = 0; at < cells.length; at++) {
    const each = values.data[at] as number;
    const shade = Math.round(Math.min(high, Math.max(low, each)) * factor - low * factor);
    cells[at] = Number.isFinite(each) ? (shades[shade] as number) : masked;
  }
  context.putImageData(image, 0, 0);
}

const kept = new Map<readonly string[], Uint32Array>();

/** The pixels of a scale from its low end to its high end; each scale is made once. */
function shadesOf(stops: readonly string[]): Uint32Array {
  const found = kept.get(stops) ?? Uint32Array.from({ length: SHADES + 1 }, (_, n) => word(blend(stops, n / SHADES)));
  kept.set(stops, found);
  return found;
}

/** Write a text into each cell of a canvas of its own, as sharp as the screen. */
export function write(canvas: HTMLCanvasElement, values: Tensor, width: number, height: number, font: number, text: (each: number) => string, color: (each: number) => string): void {
  const [T, S] = matrixShape(values);
  const sharpness = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.ceil(S * width * sharpness), Math.ceil(T * height * sharpness)];
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(sharpness, sharpness);
  context.font = `${font}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  values.data.forEach((each, n) => {
    context.fillStyle = color(each);
    context.fillText(text(each), ((n % S) + 0.5) * width, (Math.floor(n / S) + 0.5) * height + 0.5);
  });
}

/** The pixels as a data URL, for an `<image>` that SVG and PNG files keep. */
export function pixels(values: Tensor, theme: Theme, limit?: number): string {
  const canvas = document.createElement("canvas");
  paint(canvas, values, theme, limit);
  return canvas.toDataURL("image/png");
}

/** A color as the bytes of a pixel, in the order of this machine. */
function word(color: string): number {
  const bits = parseInt(color.slice(1), 16);
  return new Uint32Array(Uint8Array.of(bits >> 16, (bits >> 8) & 255, bits & 255, 255).buffer)[0] as number;
}
