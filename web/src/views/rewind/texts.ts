import { addTexts } from "../../lib/i18n";

addTexts({
  "view.rewind": ["Rewind learning", "回看学习"],
  "rewind.none": [
    "This run kept no weights of earlier steps: it is older, large, imported, or trained with --snapshots 0. Train one that does, in a terminal:",
    "这次训练没有保留早期步骤的权重：它较旧、较大、是导入的，或者用了 --snapshots 0。请在终端里训练一个会保留的：",
  ],
  "rewind.step": ["Step of the training", "训练的步骤"],
  "rewind.at": ["Step {step} of {last}", "第 {step} 步，共 {last} 步"],
  "rewind.loss": ["held-out loss {loss} {unit}", "留出损失 {loss} {unit}"],
  "rewind.unmeasured": ["the held-out loss was not measured here", "这一步没有测量留出损失"],
  "rewind.curve": ["Loss of the training; the line marks the chosen step.", "训练的损失；竖线标出所选的步骤。"],
  "rewind.log": ["Steps grow by a factor from left to right.", "步数从左到右按倍数增长。"],
  "rewind.play": ["Play", "播放"],
  "rewind.stop": ["Stop", "停止"],
  "rewind.next": ["After “{token}”, the most probable tokens", "“{token}” 之后最可能的词元"],
  "rewind.attention": ["What a head reads", "一个头读什么"],
  "rewind.head": ["Layer and head", "层与头"],
  "rewind.attn": ["layer {layer}, head {head}", "第 {layer} 层，头 {head}"],
  "rewind.encoder": ["encoder, layer {layer}, head {head}", "编码器，第 {layer} 层，头 {head}"],
  "rewind.cross": ["cross-attention, layer {layer}, head {head}", "交叉注意力，第 {layer} 层，头 {head}"],
  "rewind.weights": ["Weights of {head}: each row reads the columns", "{head} 的权重：每一行读各列"],
  "rewind.lens": ["Logit lens", "Logit lens（逐层预测）"],
  "rewind.lens.help": [
    "The most probable next token, if the model stopped after this layer. Choose a token above a column to see its predictions.",
    "如果模型在这一层之后停止，最可能的下一个词元。选择列上方的词元，查看它的预测。",
  ],
  "rewind.state.in": ["embeddings", "嵌入"],
  "rewind.state.layer": ["after layer {layer}", "第 {layer} 层之后"],
  "rewind.sample": ["What it writes", "它写出什么"],
  "rewind.sample.help": [
    "{n} tokens after the prompt, at temperature {temperature}. The same seed at each step.",
    "提示之后的 {n} 个词元，温度 {temperature}。每一步用同一个种子。",
  ],
  "rewind.seed": ["Seed", "种子"],
});
