import { isChinese } from "./text";

/** The demo accounts, one of each kind, as development loads them. */
const ACCOUNTS: readonly (readonly [username: string, chinese: string, english: string])[] = [
  ["admin", "平台管理员", "Administrator"],
  ["department", "委办管理员", "Department"],
  ["district", "区级管理员", "District"],
  ["reviewer", "审核员", "Reviewer"],
  ["staff", "中心工作人员", "Centre staff"],
  ["seller", "服务店铺", "Store manager"],
  ["buyer", "普通用户", "Buyer"],
  ["enterprise", "认证企业", "Enterprise"],
  ["expert", "专家", "Expert"],
  ["volunteer", "志愿者", "Volunteer"],
  ["reporter", "监测填报员", "Monitoring reporter"],
  ["judge", "大赛评委", "Judge"],
  ["zone", "赛区管理员", "Zone manager"],
  ["partner", "大赛合作方", "Contest partner"],
  ["ipo1", "上市一类", "IPO class 1"],
  ["ipo2", "上市二类", "IPO class 2"],
  ["ipo3", "上市三类", "IPO class 3"],
];

export const DEMO_PASSWORD = "esc-demo-1";

export const demoAccounts = ACCOUNTS.map(([username, chinese, english]) => ({
  username,
  label: isChinese ? chinese : english,
}));

/** Production serves the page with this turned off, since it has no demo accounts. */
export const offersDemoAccounts =
  document.querySelector<HTMLMetaElement>('meta[name="esc-demo-accounts"]')?.content === "on";
