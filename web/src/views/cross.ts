import { mount, unmount } from "svelte";
import { sourceOf } from "../lib/source";
import type { View } from "../lib/view";
import Cross from "./cross/Cross.svelte";
import "./cross/texts";

/** What each head reads of the source, or of the image, for each written token. */
export const cross: View = {
  id: "cross",
  title: "view.cross",
  fits: (header) => header.attentions.some((each) => each.kind === "cross"),
  render({ model, el }) {
    const app = mount(Cross, { target: el, props: { source: sourceOf(model) } });
    return () => void unmount(app);
  },
};
