import { addTexts } from "../../lib/i18n";

addTexts({
  "view.heads": ["Heads", "注意力头"],
  "heads.title": ["What each head attends to", "每个头关注什么"],
  "heads.help": [
    "Shares of a head's attention, averaged over the tokens of this text. Choose a row to walk through the head.",
    "每个头的注意力份额，对这段文本的词元取平均。选择一行，可以逐步观看这个头。",
  ],
  "heads.head": ["head", "头"],
  "heads.role": ["mostly attends to", "主要关注"],
  "heads.itself": ["itself", "自身"],
  "heads.previous": ["previous", "前一个"],
  "heads.next": ["next", "后一个"],
  "heads.first": ["first", "第一个"],
  "heads.copy": ["copies", "相同词元"],
  "heads.induction": ["after a copy", "相同词元之后"],
  "heads.spread": ["positions", "位置数"],
  "heads.help.copy": [
    "The same token elsewhere in the text. For cross-attention: the token that is written, in the source. Mean over tokens that have one.",
    "文本中别处的相同词元。对交叉注意力：正在写出的词元在源中的位置。只对有相同词元的取平均。",
  ],
  "heads.help.induction": [
    "The token that followed an earlier copy. A head that reads it continues what it saw before (induction).",
    "较早的相同词元之后的那个词元。读它的头会接着写之前见过的内容（归纳头）。",
  ],
  "heads.help.spread": [
    "Number of positions with weight: 1 means a single one.",
    "有权重的位置数：1 表示只有一个。",
  ],
  "heads.role.itself": ["itself", "自身"],
  "heads.role.previous": ["the previous token", "前一个词元"],
  "heads.role.next": ["the next token", "后一个词元"],
  "heads.role.first": ["the first token", "第一个词元"],
  "heads.role.copy": ["copies of the token", "相同的词元"],
  "heads.role.induction": ["tokens after a copy", "相同词元之后的词元"],
  "heads.role.place": ["one place: {place}", "一个位置：{place}"],
  "heads.role.mixed": ["mixed", "混合"],
  "heads.most": ["The largest share of each", "各项份额最大的头"],
  "heads.none": [
    "Too few tokens of this text have a copy, so it does not show which head copies.",
    "这段文本中有相同词元的位置太少，看不出哪个头在复制。",
  ],
  "heads.counted": [
    "{copies} of {n} tokens have a copy, {after} have a token after one.",
    "{n} 个词元中，{copies} 个有相同词元，{after} 个有相同词元之后的词元。",
  ],
  "heads.repeat": ["Repeat the text", "重复这段文本"],
  "heads.sort": ["Sort by {column}", "按 {column} 排序"],
});
