// The views, in the order of their tabs.
import type { View } from "../lib/view";
import { bench } from "./bench";
import { cross } from "./cross";
import { rewind } from "./rewind";
import { walk } from "./walk";

export const views: View[] = [walk, cross, bench, rewind];
