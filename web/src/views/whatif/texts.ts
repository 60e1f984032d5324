import { addTexts } from "../../lib/i18n";

addTexts({
  "view.whatif": ["What if", "如果"],
  "whatif.parts": ["Heads and MLPs", "注意力头和 MLP"],
  "whatif.help": [
    "Switch parts off: their output becomes zero. PyTorch runs the edited model on the same text.",
    "关闭部件：其输出变为零。PyTorch 在同一文本上运行改动后的模型。",
  ],
  "whatif.head": ["{path}, head {head}", "{path}，头 {head}"],
  "whatif.mlp": ["MLP", "MLP"],
  "whatif.all": ["All on", "全部打开"],
  "whatif.loss": [
    "Loss on this text: {before} → {after} nats per token ({change}).",
    "这段文本的损失：{before} → {after} nats/词元（{change}）。",
  ],
  "whatif.loss.whole": ["Loss on this text, all parts on: {before} nats per token.", "这段文本的损失（全部打开）：{before} nats/词元。"],
  "whatif.tokens": ["Loss of each token", "每个词元的损失"],
  "whatif.before": ["all on", "全部打开"],
  "whatif.after": ["edited", "改动后"],
  "whatif.lens": ["Logit lens: what each state would write next", "Logit lens：每个状态会写出什么"],
  "whatif.lens.help": [
    "Each cell is the most probable next token if the output head read that state. The darker, the more probable.",
    "每格是输出头若在该状态读取时最可能的下一个词元。颜色越深，概率越大。",
  ],
  "whatif.lens.state": ["after", "之后"],
});
