// Addresses after the #: "", "runs/ID", "runs/ID/VIEW?text=…", "chapters", "chapters/NAME?run=ID".

export interface Place {
  page: "runs" | "chapters";
  run: string;
  view: string;
  chapter: string;
  query: URLSearchParams;
}

export function placeOf(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [page = "", name = "", view = ""] = path.split("/").map(decodeURIComponent);
  const isChapter = page === "chapters";
  return {
    page: isChapter ? "chapters" : "runs",
    run: isChapter ? "" : name,
    view: isChapter ? "" : view,
    chapter: isChapter ? name : "",
    query: new URLSearchParams(query),
  };
}

export function address({ page = "runs", run = "", view = "", chapter = "", query }: Partial<Place>): string {
  const parts = page === "chapters" ? ["chapters", chapter] : run ? ["runs", run, view] : [];
  const path = ["#", ...parts.filter(Boolean).map(encodeURIComponent)].join("/");
  const search = query?.toString();
  return path + (search ? `?${search}` : "");
}
