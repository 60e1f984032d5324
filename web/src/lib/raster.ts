// Matrices as pixels, one a cell.
import { scaleOf, type Theme } from "./colors";
import { matrixShape, type Tensor } from "./tensor";

/** Draw a matrix into a canvas, one pixel a cell. −∞ has the color of masked cells. */
export function paint(canvas: HTMLCanvasElement, values: Tensor, theme: Theme, limit?: number): void {
  const [T, S] = matrixShape(values);
  [canvas.width, canvas.height] = [S, T];
  const context = canvas.getContext("2d");
  if (!context || !T || !S) return;
  const image = context.createImageData(S, T);
  const color = scaleOf(values.data, theme, limit);
  const masked = channels(theme.masked);
  values.data.forEach((each, at) => image.data.set(Number.isFinite(each) ? channels(color(each)) : masked, 4 * at));
  context.putImageData(image, 0, 0);
}

/** The pixels as a data URL, for an `<image>` that SVG and PNG files keep. */
export function pixels(values: Tensor, theme: Theme, limit?: number): string {
  const canvas = document.createElement("canvas");
  paint(canvas, values, theme, limit);
  return canvas.toDataURL("image/png");
}

function channels(color: string): [number, number, number, number] {
  const bits = parseInt(color.slice(1), 16);
  return [bits >> 16, (bits >> 8) & 255, bits & 255, 255];
}

