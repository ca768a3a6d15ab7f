/** The explorer in a real browser against a running server: ESC_URL, CHROMIUM (default: Debian's). */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

const ESC_URL = (process.env.ESC_URL ?? "http://127.0.0.1:8000").replace(/\/$/, "");
const EXAMPLES = ["Search", "TodayDeclarations", "Clock"];
const PASSWORD = "esc-demo-1";

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});
after(() => browser.close());

/** A fresh browser profile on the explorer; `complaints` gathers what must stay empty. */
async function open(context, { width = 1440, height = 900, locale = "zh-CN" } = {}) {
  const profile = await browser.newContext({ viewport: { width, height }, locale, baseURL: ESC_URL });
  context.after(() => profile.close());
  const page = await profile.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (/content security policy/i.test(message.text())) complaints.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${ESC_URL}/graphql`) && !url.startsWith("data:")) complaints.push(`request: ${url}`);
  });
  const response = await page.goto("/graphql");
  await page.locator(".graphiql-query-editor .view-lines").waitFor();
  return { page, complaints, response };
}

const tab = (page, name) => page.getByRole("tab", { name, exact: true });
const run = (page) => page.locator(".graphiql-execute-button").click();
const result = (page) => page.locator(".result-window");
const shows = (page, text) => result(page).getByText(text).first().waitFor();
const stored = (page, area) => page.evaluate((name) => JSON.stringify(window[name]), area);
const token = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("esc.explorer.session"))?.accessToken);

async function signInAs(page, username) {
  await page.getByRole("button", { name: "登录", exact: true }).click();
  await page.locator(".demo button", { has: page.getByText(username, { exact: true }) }).click();
  await page.locator(".who small").waitFor();
}

test("a first visit finds three examples, and nothing is asked of another host", async (context) => {
  const { page, complaints, response } = await open(context);
  assert.equal(response.status(), 200);
  assert.equal(await page.title(), "企服云 GraphQL");
  assert.deepEqual((await page.getByRole("tab").allInnerTexts()).map((name) => name.trim()), EXAMPLES);
  assert.deepEqual(complaints, []);
});

test("the page runs under a policy that allows no foreign, inline or evaluated script", async (context) => {
  const { page, complaints, response } = await open(context);
  const policy = response.headers()["content-security-policy"] ?? "";
  const scripts = policy.split(";").map((part) => part.trim()).find((part) => part.startsWith("script-src "));
  assert.equal(scripts, "script-src 'self'");
  await page.locator('button[aria-label="Show Documentation Explorer"]').click();
  await page.getByText("Root Types").waitFor();
  assert.deepEqual(complaints, []);
});

test("the search example runs by the keyboard and finds policies", async (context) => {
  const { page } = await open(context);
  await page.locator(".graphiql-query-editor .view-lines").click();
  await page.keyboard.press("Control+Enter");
  await shows(page, '"totalCount"');
  await shows(page, '"Policy"');
});

test("today's declarations answer", async (context) => {
  const { page } = await open(context);
  await tab(page, "TodayDeclarations").click();
  await run(page);
  await shows(page, '"todayDeclarations"');
  assert.equal(await result(page).getByText('"errors"').count(), 0);
});

test("the clock ticks over WebSocket until it is stopped", async (context) => {
  const { page } = await open(context);
  await tab(page, "Clock").click();
  const socket = page.waitForEvent("websocket");
  await run(page);
  const frames = [];
  (await socket).on("framereceived", ({ payload }) => frames.push(JSON.parse(payload)));
  await shows(page, '"serverTime"');
  const first = await result(page).innerText();
  await page.waitForFunction((text) => document.querySelector(".result-window").innerText !== text, first);
  await run(page);
  await page.waitForTimeout(500);
  const count = frames.length;
  await page.waitForTimeout(2_200);
  assert.equal(frames.length, count);
});

test("a demo account signs in with one click, and its token never leaves the tab's session storage", async (context) => {
  const { page, complaints } = await open(context);
  await signInAs(page, "buyer");
  assert.equal(await page.locator(".who strong").innerText(), "buyer");
  assert.doesNotMatch(await stored(page, "localStorage"), /accessToken/);
  assert.equal(await page.getByRole("dialog").count(), 0);

  const request = page.waitForRequest((sent) => sent.postData()?.includes("TodayDeclarations") ?? false);
  await tab(page, "TodayDeclarations").click();
  await run(page);
  assert.equal((await request).headers().authorization, `Bearer ${await token(page)}`);

  const sent = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(payload))));
  await tab(page, "Clock").click();
  await run(page);
  await shows(page, '"serverTime"');
  assert.deepEqual(sent[0], { type: "connection_init", payload: { authorization: `Bearer ${await token(page)}` } });
  assert.deepEqual(complaints, []);
});

test("a session outlives a reload and ends when the user signs out", async (context) => {
  const { page } = await open(context);
  await signInAs(page, "seller");
  await page.reload();
  await page.locator(".who small").waitFor();
  assert.equal(await page.locator(".who strong").innerText(), "seller");
  await page.getByRole("button", { name: "退出" }).click();
  await page.getByRole("button", { name: "登录", exact: true }).waitFor();
  assert.doesNotMatch(await stored(page, "sessionStorage"), /accessToken/);
});

test("a session about to end is renewed before the next request", async (context) => {
  const { page } = await open(context);
  await signInAs(page, "buyer");
  const ending = new Date().toISOString();
  await page.evaluate((expiresAt) => {
    const session = JSON.parse(sessionStorage.getItem("esc.explorer.session"));
    sessionStorage.setItem("esc.explorer.session", JSON.stringify({ ...session, expiresAt }));
  }, ending);
  const renewal = page.waitForRequest((sent) => sent.postData()?.includes("sessionRefresh") ?? false);
  await page.reload();
  await renewal;
  await page.waitForFunction(
    (old) => Date.parse(JSON.parse(sessionStorage.getItem("esc.explorer.session"))?.expiresAt) > Date.parse(old),
    ending,
  );
  await page.locator(".who small").waitFor();
});

test("a wrong password is answered in words, and the dialog stays", async (context) => {
  const { page } = await open(context);
  await page.getByRole("button", { name: "登录", exact: true }).click();
  await page.getByLabel("用户名").fill("buyer");
  await page.getByLabel("密码").fill(`${PASSWORD}-wrong`);
  await page.keyboard.press("Enter");
  const alert = page.locator('.sign-in [role="alert"]:not(:empty)');
  assert.match(await alert.innerText(), /\p{Script=Han}/u);
  assert.equal(await page.getByRole("dialog").count(), 1);
});

test("the keyboard alone signs in and out", async (context) => {
  const { page } = await open(context);
  await page.getByRole("button", { name: "登录", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("用户名").focus();
  await page.keyboard.type("admin");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator(".who small").waitFor();
  await page.getByRole("button", { name: "退出" }).press("Enter");
  await page.getByRole("button", { name: "登录", exact: true }).press("Enter");
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
});

test("a telephone of 390 pixels shows the query and its answer without sideways scrolling", async (context) => {
  const { page } = await open(context, { width: 390, height: 844 });
  await run(page);
  await shows(page, '"totalCount"');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  const editor = await page.locator(".graphiql-editors").boundingBox();
  const answer = await page.locator(".graphiql-response").boundingBox();
  assert.ok(editor.width > 340 && answer.width > 340, "both editors use the width");
  assert.ok(answer.y >= editor.y + editor.height - 1, "the answer stands below the query");
});

test("an English browser gets English controls", async (context) => {
  const { page } = await open(context, { locale: "en-GB" });
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("Another account").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
});

test("the explorer pane lists the schema's root fields", async (context) => {
  const { page } = await open(context);
  await page.locator('button[aria-label="Show GraphiQL Explorer"]').click();
  await page.locator(".graphiql-explorer-root").getByText("todayDeclarations").first().waitFor();
});
