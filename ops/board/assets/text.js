// The words of the board, in Chinese and English; the browser's language unless one is chosen.

const WORDS = {
  en: {
    language: "中文", signOut: "Sign out", live: "Live", connecting: "Connecting …",
    lost: "No connection. The figures are those of {at}; trying again.",
    notReady: "The service has no figures to show: its store or its agents are away. Those below are of {at}; trying again.",
    signOutFailed: "You are still signed in: {why}",
    signInTitle: "Sign in", signInKey: "Key", signInGo: "Sign in",
    signInHelp: "With a viewer key you can look, with an ops key you can also suspend and reopen. "
      + "Make one with “holdfast keys create --role ops”; the first one is in admin.key in the data directory.",
    signInWrong: "This key is unknown or was revoked.", signInFailed: "Signing in failed: {why}",
    rate: "Reservations / s", refusals: "Refusals / s", latency: "Answer time p50 · p99",
    expiryLag: "Expiry lag", prevented: "Oversell prevented today", attention: "Need attention",
    units: "units", none: "none", lately: "last 10 s",
    suspendedCount: "{n} suspended", trialCount: "{n} on trial", riskCount: "{n} at risk",
    all: "All", atRisk: "At risk", suspended: "Suspended", search: "Find a SKU",
    shown: "{shown} of {total} levels", more: "Show more",
    calm: "All calm. Nothing is suspended or at risk.",
    noStock: "There is no stock yet. Create a level with PUT /v1/stock/{sku}, or import a file.",
    noMatch: "No SKU fits.", available: "available", held: "held", committed: "committed",
    onHand: "on hand", safety: "safety stock", stock: "Stock",
    unshipped: "Unshipped", time: "Time", exposure: "On stream", soldOut: "Sold out in",
    now: "now", never: "—", limit: "limit {limit}",
    channels: "Channels today", noChannels: "No orders yet today.", order: "1 order", orders: "{n} orders",
    toldTitle: "What channels have been told", channel: "Channel", told: "Told", toldState: "State", toldSince: "Since",
    toldWhy: "Last refusal", toldConsole: "console", "closed suspended": "closed: suspended", "closed at risk": "closed: at risk",
    "told requested": "requested", "told acknowledged": "acknowledged", "told failed": "failed, trying again",
    "told dead": "given up: see “holdfast channels dead”",
    tape: "What happens", quiet: "Nothing has happened yet.",
    suspend: "Suspend", reopen: "Reopen", cancel: "Cancel", reason: "Reason",
    suspendTitle: "Suspend {sku}?", reopenTitle: "Reopen {sku}?",
    suspendMeaning: "No channel can order it until someone reopens it. Orders that are held stay as they are.",
    reopenMeaning: "All channels can order it again at once, and its failures are forgotten.",
    whyOpen: "Suspended {ago}: {reason}", whyOpenBy: "Suspended {ago} by {by}: {reason}",
    whyHalf: "On trial since {ago}: the next failure suspends it again",
    whyDwell: "was at risk, settles within {time}",
    whyFailed: "{n} failed locks", whyShort: "{channel} wanted {requested}, {available} available",
    "failed locks": "failed locks", "failed lock in half-open": "failed again on trial",
    reasonNeeded: "Say why: it is recorded.", noConnection: "The service cannot be reached. Try again.",
    "problem unauthenticated": "The session has ended. Sign in again.",
    "problem forbidden": "This key may not do that: looking takes a viewer's key, acting an ops key.",
    "problem overloaded": "The service has too much to do. Try again in a moment.",
    "problem store-unavailable": "The store does not answer. Try again in a moment.",
    "problem archive-unavailable": "The history is not there yet. It comes as soon as the agents have it.",
    whyNothingLeft: "Nothing left to sell: {n} promised and not shipped",
    whyRisk: "{ratio} of what is left is promised and has not shipped, limit {limit}",
    whyRiskOnHand: "{ratio} of what is on hand is promised and has not shipped, limit {limit}",
    whyFailures: "{n} of {threshold} failed locks", whyRetry: "tries again at {at}",
    whySoon: "sold out in {time} at this pace",
    back: "All SKUs", timeline: "Balances over time", noHistory: "Nothing happened in this time.",
    warehouses: "Warehouses", warehouse: "Warehouse",
    marks: "Failed locks and breaker", noMarks: "None in this time.", unknownSku: "There is no stock level for {sku}.",
    "reservation.held": "held", "reservation.confirmed": "confirmed", "reservation.released": "released",
    "reservation.expired": "expired", "reservation.extended": "extended", "reservation.fulfilled": "shipped",
    "reservation.reinstated": "reinstated", "stock.changed": "stock", "lock.failed": "failed lock",
    "breaker.opened": "suspended", "breaker.half_opened": "on trial", "breaker.closed": "reopened",
    "breaker.policy_set": "policy", "quota.set": "quotas", "health.changed": "health",
    failed: "failed lock", opened: "suspended", half_opened: "on trial", closed: "reopened",
    health: "health", healthy: "healthy", at_risk: "at risk",
    "insufficient-stock": "not enough stock", "sku-suspended": "suspended", "channel-quota-exceeded": "beyond the channel's quota",
    alerts: "Alerts", alertsDead: "Alerts: {n} not delivered", receivers: "Who is told",
    letters: "Not delivered", noLetters: "Every message was taken, or is still on its way.",
    noReceivers: "Nobody is told. Name a receiver in the settings file, for instance [alerts.ops] with kind and "
      + "url; then try it with “holdfast alerts test ops”.",
    receiver: "Receiver", kind: "Kind", waiting: "Waiting", since: "Since", dead: "Not delivered",
    lastRefusal: "Last refusal", notConfigured: "not configured", resend: "Send again",
    wecom: "WeCom robot", dingtalk: "DingTalk robot", webhook: "Webhook",
    letterMade: "{at}, sent {n} times", letterAlert: "1 alert:", letterAlerts: "{n} alerts:",
  },
  zh: {
    language: "English", signOut: "退出", live: "实时", connecting: "连接中…",
    lost: "连接已断开，以下为 {at} 的数据；正在重连。",
    notReady: "服务暂无数据：存储或后台代理未就绪。以下为 {at} 的数据；正在重试。",
    signOutFailed: "退出失败，仍处于登录状态：{why}",
    signInTitle: "登录", signInKey: "密钥", signInGo: "登录",
    signInHelp: "viewer 密钥可查看，ops 密钥还可熔断与恢复。用 “holdfast keys create --role ops” 创建；"
      + "第一个密钥在数据目录的 admin.key 中。",
    signInWrong: "密钥无效或已吊销。", signInFailed: "登录失败：{why}",
    rate: "预占 / 秒", refusals: "拒绝 / 秒", latency: "响应时间 p50 · p99",
    expiryLag: "超时释放延迟", prevented: "今日避免超卖", attention: "需要关注",
    units: "件", none: "无", lately: "近 10 秒",
    suspendedCount: "熔断 {n}", trialCount: "试探 {n}", riskCount: "风险 {n}",
    all: "全部", atRisk: "有风险", suspended: "已熔断", search: "查找 SKU",
    shown: "{shown} / {total} 条", more: "显示更多",
    calm: "一切平稳，没有熔断或风险。",
    noStock: "还没有库存。用 PUT /v1/stock/{sku} 创建，或导入文件。",
    noMatch: "没有匹配的 SKU。", available: "可售", held: "预占", committed: "已确认",
    onHand: "在库", safety: "安全库存", stock: "库存",
    unshipped: "预占未出库", exposure: "直播曝光", soldOut: "预计售罄", time: "时间",
    now: "现在", never: "—", limit: "上限 {limit}",
    channels: "今日渠道", noChannels: "今日还没有订单。", order: "1 单", orders: "{n} 单",
    toldTitle: "已通知各渠道", channel: "渠道", told: "通知内容", toldState: "状态", toldSince: "时间",
    toldWhy: "最近一次拒绝", toldConsole: "直播中控台", "closed suspended": "停售：已熔断", "closed at risk": "停售：有风险",
    "told requested": "已请求", "told acknowledged": "已确认", "told failed": "失败，重试中",
    "told dead": "已放弃：见 “holdfast channels dead”",
    tape: "实时事件", quiet: "还没有事件。",
    suspend: "熔断", reopen: "恢复", cancel: "取消", reason: "原因",
    suspendTitle: "熔断 {sku}？", reopenTitle: "恢复 {sku}？",
    suspendMeaning: "所有渠道停止下单，直到有人恢复。已预占的订单不受影响。",
    reopenMeaning: "所有渠道立即恢复下单，失败记录清零。",
    whyOpen: "{ago}熔断：{reason}", whyOpenBy: "{ago}由 {by} 熔断：{reason}",
    whyHalf: "{ago}进入试探：再失败一次即熔断",
    whyDwell: "刚有风险，{time}内恢复",
    whyFailed: "{n} 次锁定失败", whyShort: "{channel} 要 {requested} 件，可售 {available} 件",
    "failed locks": "锁定失败", "failed lock in half-open": "试探中再次失败",
    reasonNeeded: "请填写原因，会被记录。", noConnection: "无法连接服务，请重试。",
    "problem unauthenticated": "登录已失效，请重新登录。",
    "problem forbidden": "此密钥无权这样做：查看需 viewer 密钥，操作需 ops 密钥。",
    "problem overloaded": "服务繁忙，请稍后重试。",
    "problem store-unavailable": "存储无响应，请稍后重试。",
    "problem archive-unavailable": "历史数据尚未就绪，后台代理写入后即可查看。",
    whyNothingLeft: "已无可售：{n} 件预占未出库",
    whyRisk: "预占未出库为可售的 {ratio}，上限 {limit}",
    whyRiskOnHand: "预占未出库为在库的 {ratio}，上限 {limit}",
    whyFailures: "锁定失败 {n} / {threshold}", whyRetry: "{at} 重试",
    whySoon: "按当前速度 {time}后售罄",
    back: "全部 SKU", timeline: "库存走势", noHistory: "这段时间没有变化。",
    warehouses: "仓库", warehouse: "仓库",
    marks: "锁定失败与熔断", noMarks: "这段时间没有。", unknownSku: "没有 {sku} 的库存。",
    "reservation.held": "预占", "reservation.confirmed": "确认", "reservation.released": "释放",
    "reservation.expired": "超时释放", "reservation.extended": "延长", "reservation.fulfilled": "出库",
    "reservation.reinstated": "恢复占用", "stock.changed": "库存", "lock.failed": "锁定失败",
    "breaker.opened": "熔断", "breaker.half_opened": "试探", "breaker.closed": "恢复",
    "breaker.policy_set": "规则", "quota.set": "配额", "health.changed": "健康度",
    failed: "锁定失败", opened: "熔断", half_opened: "试探", closed: "恢复",
    health: "健康度", healthy: "健康", at_risk: "有风险",
    "insufficient-stock": "库存不足", "sku-suspended": "已熔断", "channel-quota-exceeded": "超出渠道配额",
    alerts: "提醒", alertsDead: "提醒：{n} 条未送达", receivers: "通知对象",
    letters: "未送达", noLetters: "所有消息均已送达或正在发送。",
    noReceivers: "还没有通知对象。在配置文件中添加，例如 [alerts.ops]，填写 kind 和 url，"
      + "再用 “holdfast alerts test ops” 试发。",
    receiver: "名称", kind: "类型", waiting: "待发", since: "等待自", dead: "未送达",
    lastRefusal: "最近一次拒绝", notConfigured: "未配置", resend: "重发",
    wecom: "企业微信机器人", dingtalk: "钉钉机器人", webhook: "Webhook",
    letterMade: "{at}，已发 {n} 次", letterAlert: "1 条：", letterAlerts: "{n} 条：",
  },
};

const KEPT = "holdfast.language";

function chosen() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

let language = chosen() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

export function has(key) {
  return Object.hasOwn(WORDS[language], key);
}

export function currentLanguage() {
  return language;
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

// Give a text with its {places} filled in; what has no words is shown as it is.
export function t(key, values = {}) {
  // A reason that someone typed may be the name of anything: "constructor", say.
  const text = has(key) ? WORDS[language][key] : key;
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}
