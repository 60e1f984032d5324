// Addresses after the #: "", "runs/ID", "runs/ID/VIEW?text=…".

export interface Place {
  run: string;
  view: string;
  query: URLSearchParams;
}

export function placeOf(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [, run = "", view = ""] = path.split("/").map(decodeURIComponent);
  return { run, view, query: new URLSearchParams(query) };
}

export function address({ run = "", view = "", query }: Partial<Place>): string {
  const path = ["#", ...(run ? ["runs", run] : []), ...(view ? [view] : [])];
  const search = query?.toString();
  return path.map((part) => (part === "#" ? part : encodeURIComponent(part))).join("/") + (search ? `?${search}` : "");
}
