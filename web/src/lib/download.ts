// Save what is shown: a picture as SVG or PNG, its numbers as CSV.

const MARGIN = 8;

export function saveText(text: string, type: string, name: string): void {
  save(new Blob([text], { type }), name);
}

export function saveSvg(svg: SVGSVGElement, name: string): void {
  saveText(fileOf(svg).source, "image/svg+xml", name);
}

/** Draw the SVG at twice its size into a PNG. */
export async function savePng(svg: SVGSVGElement, ground: string, name: string): Promise<void> {
  const { source, width, height } = fileOf(svg);
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(source);
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * width, 2 * height];
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.fillStyle = ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) save(blob, name);
}

/** The SVG as a file: with its title, a margin, and no cursor. */
function fileOf(svg: SVGSVGElement): { source: string; width: number; height: number } {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const { x, y, width: w, height: h } = svg.viewBox.baseVal;
  const [width, height] = [w + 2 * MARGIN, h + 2 * MARGIN];
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", `${x - MARGIN} ${y - MARGIN} ${width} ${height}`);
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.querySelectorAll("[data-cursor]").forEach((each) => each.remove());
  const title = document.createElementNS(copy.namespaceURI, "title");
  title.textContent = svg.getAttribute("aria-label");
  copy.prepend(title);
  return { source: new XMLSerializer().serializeToString(copy), width, height };
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
