// Names of heads.
import type { AttentionInfo } from "../../lib/api";
import { addTexts, t } from "../../lib/i18n";

addTexts({
  "head.attn": ["layer {layer}, head {head}", "第 {layer} 层，头 {head}"],
  "head.encoder": ["encoder, layer {layer}, head {head}", "编码器，第 {layer} 层，头 {head}"],
  "head.cross": ["cross-attention, layer {layer}, head {head}", "交叉注意力，第 {layer} 层，头 {head}"],
});

export function nameOf({ kind, layer }: Pick<AttentionInfo, "kind" | "layer">, head: number): string {
  return t(`head.${kind}`, { layer, head });
}
