// The page's words, in English and Chinese. Elements name theirs by data-i18n (text) or data-i18n-label (aria-label).

const WORDS = {
  en: {
    other: "中文",
    photo: "Photo",
    answer: "Answer",
    invite: "Drop a photo here",
    ways: "or paste one, choose a file, use the camera",
    choose: "Choose photo",
    camera: "Camera",
    paste: "Paste",
    cameraPicture: "Picture of the camera",
    takePhoto: "Take the photo",
    closeCamera: "Close the camera",
    turnCamera: "Use the other camera",
    explain: "Show where it looked",
    noPreview: "No preview of this kind of file",
    loading: "Loading the model…",
    knows: "This model tells {n} things apart.",
    finds: "What this model finds:",
    nothing: "nothing found",
    labels: "Labels this model gives, several to a photo or none:",
    noLabel: "no label",
    from: ", there from {limit}",
    inspects: "This model tells what is unlike good photos of:",
    good: "Good",
    defect: "Not good",
    score: "Unlike the good ones",
    defectsFrom: ", not good from {limit}",
    strange: "Show where it is unlike the good ones",
    working: "Looking…",
    workingOn: "Looking at photo {i} of {n}…",
    unsure: "No class reaches one half: take this as a guess.",
    unknown: "Unknown",
    unlike: "It is unlike the photos this model learned from. Of what it knows, these come nearest.",
    spoken: "{label}, {share}",
    took: "{ms} ms, {size} × {size} pixels seen",
    all: "Show all {n}",
    fewer: "Show fewer",
    history: "This visit",
    forget: "Clear",
    photoOf: "Photo: {label}, {share}",
    local: "Photos stay on this device.",
    sent: "Photos go to the server that gave you this page, which keeps none of them.",
    // The labelling page of `serve`.
    labelTitle: "What is this?",
    labelBack: "Back",
    labelSkip: "Skip",
    labelUndo: "Take the label back",
    labelNew: "Another class",
    labelAdd: "Give it",
    labelProgress: "Photo {i} of {n}, {done} have a label.",
    labelAll: "All {n} have a label: train on them now.",
    labelFile: "Each answer is written to {file} at once.",
    labelTypical: "typical of its kind",
    labelUnsure: "the model is unsure of it",
    // Problems: by the code an error carries.
    failed: "That did not work: {message}",
    offline: "The server cannot be reached: check that it runs, then try again.",
    "not-an-image": "That is no photo this model can read: use a JPEG, PNG or WebP file.",
    deep: "This page reads no TIFF files: save the photo as a 16-bit PNG.",
    damaged: "This photo is damaged or cut short: use another copy of it.",
    "too-large": "This file is too large: use a smaller copy of the photo.",
    "too-many-pixels": "This photo has too many pixels: use a smaller copy of it.",
    busy: "The server is busy: try again in a moment.",
    incomplete: "The model cannot be loaded: copy the whole folder to the server, or use a newer browser.",
    timeout: "That took too long: try again, or use a smaller photo.",
    "no-file": "There is no photo in what you dropped or pasted.",
    "camera-refused": "The camera may not be used: allow it in the browser's settings for this page.",
    "camera-missing": "No camera was found: choose a file instead.",
  },
  zh: {
    other: "English",
    photo: "照片",
    answer: "结果",
    invite: "把照片拖到这里",
    ways: "也可以粘贴、选择文件或拍照",
    choose: "选择照片",
    camera: "拍照",
    paste: "粘贴",
    cameraPicture: "摄像头画面",
    takePhoto: "拍下照片",
    closeCamera: "关闭摄像头",
    turnCamera: "切换摄像头",
    explain: "显示模型关注的区域",
    noPreview: "这种文件无法预览",
    loading: "正在加载模型…",
    knows: "这个模型能区分 {n} 个类别。",
    finds: "这个模型能找到：",
    nothing: "没有找到目标",
    labels: "这个模型给出的标签，一张照片可有多个或没有：",
    noLabel: "没有标签",
    from: "，达到 {limit} 即有",
    inspects: "这个模型指出与合格照片不同的地方，合格的是：",
    good: "合格",
    defect: "不合格",
    score: "与合格照片的差异",
    defectsFrom: "，达到 {limit} 为不合格",
    strange: "显示与合格照片不同的区域",
    working: "正在识别…",
    workingOn: "正在识别第 {i} 张，共 {n} 张…",
    unsure: "没有任何类别超过一半：请把它当作猜测。",
    unknown: "未知",
    unlike: "它与模型学习过的照片不像。在模型认识的类别中，下面这些最接近。",
    spoken: "{label}，{share}",
    took: "{ms} 毫秒，模型看到 {size} × {size} 像素",
    all: "显示全部 {n} 个",
    fewer: "收起",
    history: "本次访问",
    forget: "清除",
    photoOf: "照片：{label}，{share}",
    local: "照片不会离开这台设备。",
    sent: "照片会发送到提供此页面的服务器，服务器不会保存。",
    labelTitle: "这是什么？",
    labelBack: "上一张",
    labelSkip: "跳过",
    labelUndo: "撤回标签",
    labelNew: "其他类别",
    labelAdd: "确定",
    labelProgress: "第 {i} 张，共 {n} 张，已标注 {done} 张。",
    labelAll: "{n} 张全部标注完毕：现在可以训练了。",
    labelFile: "每个回答都会立即写入 {file}。",
    labelTypical: "同类中的典型照片",
    labelUnsure: "模型没有把握",
    failed: "没有成功：{message}",
    offline: "无法连接服务器：请确认它正在运行，然后重试。",
    "not-an-image": "这不是模型能读取的图片：请使用 JPEG、PNG 或 WebP 文件。",
    deep: "本页面不读取 TIFF 文件：请将图片保存为 16 位 PNG。",
    damaged: "这张图片已损坏或不完整：请换一份。",
    "too-large": "文件太大：请使用较小的照片。",
    "too-many-pixels": "图片的像素太多：请使用较小的版本。",
    busy: "服务器正忙：请稍后再试。",
    incomplete: "无法加载模型：请把整个文件夹复制到服务器，或使用更新的浏览器。",
    timeout: "用时太长：请重试，或使用较小的照片。",
    "no-file": "拖入或粘贴的内容里没有图片。",
    "camera-refused": "无法使用摄像头：请在浏览器设置中允许此页面使用。",
    "camera-missing": "没有找到摄像头：请改为选择文件。",
  },
};
const KEY = "mobilenets.language";

let language = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

/** The words for `key` in the current language, with {names} filled in from `values`. */
export function words(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** One sentence about an error: translated where it carries a code this page knows, else its own message. */
export function problem(error) {
  return Object.hasOwn(WORDS[language], error.code ?? "") ? words(error.code) : words("failed", { message: error.message });
}

/** A probability in per cent, the way the language writes it. */
export function percent(probability) {
  const format = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return probability > 0 && probability < 0.0005 ? `< ${format.format(0.001)}` : format.format(probability);
}

/** A score, 0 to 1, the way the language writes it. */
export function figure(score) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: 3, maximumFractionDigits: 3 }).format(score);
}

/** A count, the way the language writes it. */
export function count(n) {
  return new Intl.NumberFormat(language).format(n);
}

/** Change to the other language and remember it. */
export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
}

/** Write every element's words in the current language. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-i18n]")) {
    element.textContent = words(element.dataset.i18n);
  }
  for (const element of document.querySelectorAll("[data-i18n-label]")) {
    element.setAttribute("aria-label", words(element.dataset.i18nLabel));
  }
}

function remembered() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept !== null && Object.hasOwn(WORDS, kept) ? kept : null;
  } catch {
    return null;
  }
}
