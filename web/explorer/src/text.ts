/** The words of our own controls, in the browser's language. GraphiQL itself speaks English only. */

const english = {
  signIn: "Sign in",
  signOut: "Sign out",
  demoAccounts: "Demo accounts",
  demoHint: "One click signs in. They exist only in development.",
  otherAccount: "Another account",
  username: "Username",
  password: "Password",
  close: "Close",
  working: "Signing in…",
  unreachable: "The server did not answer. Try again.",
  expired: "Your session has ended. Please sign in again.",
  signedInAs: "Signed in as",
  searchNote: "Chinese full text search. Press Ctrl-Enter to run.",
  todayNote: "Today's declarations: what can be applied for now, the nearest deadline first.",
  clockNote: "A live subscription over WebSocket: one event a second. Press the button again to stop.",
};

const chinese: typeof english = {
  signIn: "登录",
  signOut: "退出",
  demoAccounts: "演示账号",
  demoHint: "点击即可登录，仅开发环境提供。",
  otherAccount: "其他账号",
  username: "用户名",
  password: "密码",
  close: "关闭",
  working: "正在登录…",
  unreachable: "服务器没有响应，请重试。",
  expired: "登录已失效，请重新登录。",
  signedInAs: "当前账号",
  searchNote: "中文全文检索。按 Ctrl-Enter 运行。",
  todayNote: "今日申报：现在可以申报的事项，截止日近的在前。",
  clockNote: "WebSocket 实时订阅：每秒一次。再按一次运行按钮即可停止。",
};

export const isChinese = navigator.language.toLowerCase().startsWith("zh");
export const text = isChinese ? chinese : english;
export const language = isChinese ? "zh-CN" : "en";
