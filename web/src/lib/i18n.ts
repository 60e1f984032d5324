// All texts of the page, in English and Chinese. Views add theirs with their own prefix.

export type Language = "en" | "zh";

const texts = {
  "app.name": ["GlassGPT lab", "GlassGPT 实验室"],
  "app.runs": ["Runs", "训练"],
  "app.chapters": ["Chapters", "章节"],
  "app.language": ["中文", "English"],
  "app.loading": ["Loading …", "加载中……"],
  "app.offline": ["Offline file: every number is in it.", "离线文件：所有数字都在其中。"],
  "app.skip": ["Skip to the content", "跳到正文"],
  "runs.none": [
    "No runs in this folder yet. Train one in a terminal: glassgpt train notes.txt --minutes 5",
    "这个文件夹里还没有训练。请在终端里训练一个：glassgpt train notes.txt --minutes 5",
  ],
  "runs.name": ["run", "训练"],
  "runs.task": ["task", "任务"],
  "runs.model": ["model", "模型"],
  "runs.steps": ["steps", "步数"],
  "runs.loss": ["held-out result", "留出结果"],
  "runs.baseline": ["best counted", "最佳计数基线"],
  "runs.status": ["status", "状态"],
  "runs.open": ["Look inside {name}", "查看 {name} 的内部"],
  "train.title": ["Train a model", "训练一个模型"],
  "train.text": ["Your text", "你的文本"],
  "train.file": ["or a text file", "或者一个文本文件"],
  "train.name": ["Name of the run", "训练的名字"],
  "train.minutes": ["Minutes", "分钟"],
  "train.size": ["Size", "大小"],
  "train.automatic": ["automatic", "自动"],
  "train.setting": ["One more setting", "再加一个设置"],
  "train.plan": ["Show the plan", "显示计划"],
  "train.start": ["Start", "开始"],
  "train.planning": ["Measuring this machine …", "正在测量这台机器……"],
  "train.preparing": ["Preparing the text …", "正在准备文本……"],
  "train.failed": ["The training ended before it began:", "训练还没开始就结束了："],
  "train.stop": ["Save and stop", "保存并停止"],
  "train.resume": ["Resume", "继续训练"],
  "train.resume.minutes": ["Minutes in total", "总分钟数"],
  "run.look": ["Look inside", "查看内部"],
  "run.curve": ["Learning curve", "学习曲线"],
  "run.curve.held_out": ["held out", "留出"],
  "run.curve.training": ["training", "训练"],
  "run.curve.alt": [
    "Loss over {n} steps; the last held-out loss is {loss} {unit}.",
    "{n} 步的损失；最后的留出损失是 {loss} {unit}。",
  ],
  "run.curve.none": ["No evaluation is recorded.", "没有评估记录。"],
  "run.ladder": ["The counted ladder", "计数阶梯"],
  "run.ladder.this": ["this model", "这个模型"],
  "run.samples": ["Samples", "样本"],
  "run.forecast": ["forecast {loss} ({low} to {high})", "预测 {loss}（{low} 到 {high}）"],
  "run.report": ["Report", "报告"],
  "run.findings": ["Findings", "诊断结果"],
  "run.findings.none": ["Nothing in the curve and the verdict needs attention.", "曲线和结论中没有需要注意的问题。"],
  "run.examine": ["Examine model and text, too", "同时检查模型和文本"],
  "run.examining": ["Examining …", "正在检查……"],
  "runs.pick": ["Choose {name} to compare", "选择 {name} 进行比较"],
  "runs.compare": ["Compare {n} runs", "比较 {n} 个训练"],
  "runs.compare.help": ["Choose two runs or more to compare them.", "选择两个或更多训练，可以进行比较。"],
  "run.settings": ["Settings", "设置"],
  "run.verdict": ["Verdict", "结论"],
  "run.live": ["live", "实时"],
  "run.setting": ["setting", "设置"],
  "run.value": ["value", "值"],
  "run.origin": ["from", "来源"],
  "run.step": ["step {n}", "第 {n} 步"],
  "look.text": ["Text", "文本"],
  "look.source": ["Text to translate", "要翻译的文本"],
  "look.question": ["Question about the image", "关于图像的问题"],
  "look.image": ["Image", "图像"],
  "look.questions": ["Questions about this image", "关于这张图像的问题"],
  "look.go": ["Look", "查看"],
  "look.next": ["Most probable next", "最可能的下一个"],
  "look.answer": ["The model writes", "模型写出"],
  "look.tokens": ["Tokens", "词元"],
  "look.wait": ["Running the model …", "正在运行模型……"],
  "look.saved": ["Checkpoint", "检查点"],
  "look.best": ["best", "最佳"],
} satisfies Record<string, [string, string]>;

const more: Record<string, [string, string]> = {};

/** Add the texts of a view. */
export function addTexts(added: Record<string, [string, string]>): void {
  Object.assign(more, added);
}

export function language(): Language {
  return document.documentElement.lang.startsWith("zh") ? "zh" : "en";
}

/** Keep the chosen language, or take the browser's. */
export function setLanguage(chosen?: Language): void {
  let kept: string | null = null;
  try {
    if (chosen) localStorage.setItem("glassgpt-language", chosen);
    kept = localStorage.getItem("glassgpt-language");
  } catch {
    // a file:// page may have no storage
  }
  const found = chosen ?? kept ?? navigator.language;
  document.documentElement.lang = found.startsWith("zh") ? "zh" : "en";
}

/** The text of a key, with its fields filled in. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const entry = (texts as Record<string, [string, string]>)[key] ?? more[key];
  if (!entry) return key;
  const text = entry[language() === "zh" ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
