import { mount, unmount } from "svelte";
import { sourceOf } from "../lib/source";
import type { View } from "../lib/view";
import "./walk/texts";
import Walk from "./walk/Walk.svelte";

/** The whole model, then one head step by step. */
export const walk: View = {
  id: "walk",
  title: "view.walk",
  fits: (header) => header.attentions.length > 0,
  render({ model, el }) {
    const app = mount(Walk, { target: el, props: { base: sourceOf(model), at: model.get("at") } });
    return () => void unmount(app);
  },
};
