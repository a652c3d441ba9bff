// Types a question into the phone page and waits for the answer's bubble and for the question's ticks to turn read.
// Environment: PLAYWRIGHT (module), CHROMIUM (program), PROFILE (folder), PAGE (address), QUESTION, SCREENSHOT (file).
import { pathToFileURL } from "node:url";

const { PLAYWRIGHT, CHROMIUM, PROFILE, PAGE, QUESTION, SCREENSHOT } = process.env;
const { chromium } = await import(pathToFileURL(PLAYWRIGHT));

const browser = await chromium.launchPersistentContext(PROFILE, {
  executablePath: CHROMIUM,
  headless: true,
  viewport: { width: 900, height: 800 },
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = browser.pages()[0] ?? await browser.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
try {
  await page.goto(PAGE);
  await page.getByTestId("composer").fill(QUESTION);
  await page.getByTestId("send").click();
  const question = page.locator('[data-testid=bubble][data-direction=outgoing]', { hasText: QUESTION });
  await question.waitFor({ timeout: 15_000 });
  const answer = page.locator('[data-testid=bubble][data-direction=incoming]').first();
  await answer.waitFor({ timeout: 90_000 });
  const read = page.locator('[data-testid=bubble][data-direction=outgoing][data-status=read]', { hasText: QUESTION });
  await read.waitFor({ timeout: 60_000 });
  if (!await read.getByTestId("ticks").count()) throw new Error("the question has no ticks");
  console.log(`answer: ${(await answer.innerText()).trim()}`);
  if (complaints.length) throw new Error(`the page complained: ${complaints.join(" | ")}`);
} finally {
  await page.screenshot({ path: SCREENSHOT, fullPage: true });
  await browser.close();
}
