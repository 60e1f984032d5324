// The views, in the order of their tabs.
import type { View } from "../lib/view";
import { bench } from "./bench";
import { cross } from "./cross";
import { heads } from "./heads";
import { rewind } from "./rewind";
import { walk } from "./walk";
import { whatif } from "./whatif";

export const views: View[] = [walk, heads, cross, bench, whatif, rewind];
