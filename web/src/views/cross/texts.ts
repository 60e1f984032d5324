import { addTexts } from "../../lib/i18n";

addTexts({
  "view.cross": ["Cross-attention", "交叉注意力"],
  "cross.written": ["The model writes: choose a token", "模型写出：选择一个词元"],
  "cross.play": ["Play", "播放"],
  "cross.stop": ["Stop", "停止"],
  "cross.help": [
    "For “{token}”, each head reads these places of the source. The darker, the larger its weight.",
    "为了写 “{token}”，每个头读源的这些位置。颜色越深，权重越大。",
  ],
  "cross.help.image": [
    "For “{token}”, each head looks at these patches. The stronger the color, the larger its weight.",
    "为了写 “{token}”，每个头看这些图块。颜色越强，权重越大。",
  ],
  "cross.head": ["layer {layer}, head {head}", "第 {layer} 层，头 {head}"],
  "cross.most": ["most: “{token}” {p}%", "最多：“{token}” {p}%"],
  "cross.patch": ["most: row {row}, column {column}, {p}%", "最多：第 {row} 行第 {column} 列，{p}%"],
  "cross.here": ["row {row}, column {column}: {w}", "第 {row} 行第 {column} 列：{w}"],
  "cross.all": ["All written tokens, {head}", "所有写出的词元，{head}"],
  "cross.worth": ["What each head is worth", "每个头的价值"],
  "cross.worth.help": [
    "Each head is switched off alone. The loss on the same answer is measured again, in nats per token.",
    "逐个关闭每个头，再次测量同一答案的损失，单位 奈特/词元。",
  ],
  "cross.measure": ["Switch off each head", "逐个关闭每个头"],
  "cross.loss": ["All heads: {loss} nats per token.", "所有头：{loss} 奈特/词元。"],
  "cross.without": ["without it", "没有它"],
  "cross.rise": ["rise", "上升"],
  "cross.answer": ["writes “{token}”", "写出 “{token}”"],
  "cross.image": ["The image as the model sees it", "模型看到的图像"],
});
