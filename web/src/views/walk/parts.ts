// The parts of a model, from the embedding to the logits, by what a trace holds.
import type { AttentionInfo, TraceHeader } from "../../lib/api";
import { t } from "../../lib/i18n";

export interface Part {
  readonly id: string;
  readonly title: string;
  readonly help: string;
  /** The state after the part: a tensor (T, width), of the trace. */
  readonly state: string;
  readonly attention: AttentionInfo | null;
  /** Further tensors to show. */
  readonly inner: readonly string[];
  /** True for the encoder: its rows are source positions. */
  readonly ofSource: boolean;
}

export function partsOf(header: TraceHeader): Part[] {
  const has = (name: string): boolean => header.tensors.some((each) => each.name === name);
  const parts: Part[] = [];
  const add = (id: string, title: string, help: string, state: string, rest: Partial<Part> = {}): void => {
    if (has(state)) parts.push({ id, title, help, state, attention: null, inner: [], ofSource: false, ...rest });
  };
  for (const block of [...header.blocks].sort((a, b) => Number(a.kind === "decoder") - Number(b.kind === "decoder"))) {
    const { path, layer } = block;
    const ofSource = block.kind === "encoder" && header.source.length > 0;
    const own = header.attentions.find((each) => each.path === `${path}.attn`) ?? null;
    const cross = header.attentions.find((each) => each.path === `${path}.cross_attn`) ?? null;
    if (layer === 0) {
      const positions = t(`walk.part.positions.${header.positions}`);
      add(`${path}.embedding`, t(ofSource ? "walk.part.encoder.embedding" : "walk.part.embedding"), positions, `${path}.resid_pre`, { ofSource });
    }
    const kind = block.kind === "encoder" && ofSource ? "encoder" : "attn";
    add(`${path}.attn`, t(`walk.part.${kind}`, { n: layer }), t("walk.part.attn.help"), `${path}.resid_mid`, { attention: own, inner: [`${path}.attn.out`].filter(has), ofSource });
    if (cross) add(`${path}.cross`, t("walk.part.cross", { n: layer }), t("walk.part.attn.help"), `${path}.resid_cross`, { attention: cross, inner: [`${path}.cross_attn.out`].filter(has) });
    const mlp = [`${path}.mlp.hidden`, `${path}.mlp.out`].filter(has);
    add(`${path}.mlp`, t(ofSource ? "walk.part.encoder.mlp" : "walk.part.mlp", { n: layer }), t("walk.part.mlp.help"), `${path}.resid_post`, { inner: mlp, ofSource });
  }
  add("norm_f", t("walk.part.norm"), t("walk.part.norm.help"), "norm_f");
  add("logits", t("walk.part.logits"), t("walk.part.logits.help"), "logits");
  return parts;
}
