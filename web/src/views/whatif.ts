import { mount, unmount } from "svelte";
import { sourceOf } from "../lib/source";
import type { View } from "../lib/view";
import "./walk/texts";
import "./whatif/texts";
import WhatIf from "./whatif/WhatIf.svelte";

/** Heads and MLPs switched off, and what follows; the logit lens over layers. */
export const whatif: View = {
  id: "whatif",
  title: "view.whatif",
  fits: (header) => header.attentions.length > 0 && header.lens_states.length > 0,
  render({ model, el }) {
    const app = mount(WhatIf, { target: el, props: { base: sourceOf(model) } });
    return () => void unmount(app);
  },
};
