// The views, in the order of their tabs.
import type { View } from "../lib/view";
import { walk } from "./walk";

export const views: View[] = [walk];
