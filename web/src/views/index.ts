// The views, in the order of their tabs.
import type { View } from "../lib/view";

export const views: View[] = [];
