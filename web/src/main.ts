// One module for three places: the page, a notebook (anywidget) and an offline file.
import { mount, unmount } from "svelte";
import App from "./App.svelte";
import { setLanguage } from "./lib/i18n";
import type { Model } from "./lib/source";
import { theme } from "./lib/theme.svelte";
import Widget from "./pages/Widget.svelte";
import "./theme.css";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  el.classList.add("glassgpt");
  const undress = theme.dress(el);
  const widget = mount(Widget, { target: el, props: { model } });
  return () => {
    undress();
    void unmount(widget);
  };
}

function start(root: HTMLElement): void {
  setLanguage();
  if (root.dataset.glassgpt === "page") {
    mount(App, { target: root });
    return;
  }
  const text = (id: string): string => document.getElementById(id)?.textContent ?? "null";
  const values: Record<string, unknown> = {
    header: JSON.parse(text("header")),
    vocabulary: JSON.parse(text("vocabulary")),
    view: JSON.parse(text("view")),
    blob: text("blob"),
  };
  render({ model: { get: (name) => values[name] }, el: root });
}

const root = document.querySelector<HTMLElement>("main[data-glassgpt]");
if (root) start(root);

export { Random } from "./lib/random";
export * as sampling from "./lib/sampling";
export default { render };
