// The customer's phone: whose it is, what they see, and what they do.
import { day, spelled, summary, translate, words } from "/phone/words.js";
import { initials, line, make, person, side, tint } from "/phone/bubbles.js";

const at = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const lineId = asked.get("phone_number_id") ?? undefined;
const memory = "sandbox-phone-customers";
const first = { phone: "+5562988880001", name: "Ana" };

let people = remembered();
let current = people[0];
let account = null;
let messages = new Map();
let typingUntil = 0;
let delivery = { waiting: 0, last_error: null };
let connected = true;
let replyTo = null;
let file = null;
let customers = [];
let editing = null;

function remembered() {
  if (asked.get("phone")) return [{ phone: asked.get("phone"), name: asked.get("name") ?? asked.get("phone") }];
  try {
    const kept = JSON.parse(localStorage.getItem(memory));
    return Array.isArray(kept) && kept.length ? kept : [first];
  } catch { return [first]; }
}
function remember() {
  people = [current, ...people.filter((one) => one.phone !== current.phone)].slice(0, 30);
  if (!asked.get("phone")) localStorage.setItem(memory, JSON.stringify(people));
}

async function call(path, body) {
  const response = await fetch(path, body instanceof FormData
    ? { method: "POST", body }
    : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `HTTP ${response.status}`);
  return answer;
}

// Takes a phone in hand: makes the customer known, then shows their chat.
async function take(customer) {
  current = customer;
  remember();
  const known = await call("/phone/api/customers", { phone: current.phone, name: current.name });
  account = known.wa_id;
  messages = new Map();
  setReply(null);
  showMe();
  await refresh();
  at("people").classList.remove("open");
}

async function refresh() {
  const query = new URLSearchParams({ customer: current.phone });
  if (lineId) query.set("phone_number_id", lineId);
  const response = await fetch(`/phone/api/state?${query}`);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const state = await response.json();
  account = state.wa_id;
  messages = new Map(state.messages.map((message) => [message.id, message]));
  typingUntil = state.typing_until_ms;
  delivery = state.delivery;
  customers = state.customers;
  at("business-name").textContent = state.business.name;
  at("business-avatar").textContent = initials(state.business.name);
  at("business-avatar").dataset.line = state.business.phone_number_id;
  at("business-sub").dataset.phone = state.business.phone;
  draw();
  showPeople();
  showTyping();
  showBanner();
  toEnd();
  reading();
}

function draw() {
  const list = at("list");
  const sorted = [...messages.values()].sort((a, b) => a.at_ms - b.at_ms);
  list.replaceChildren();
  let lastDay = null;
  let before = null;
  for (const message of sorted) {
    const label = day(message.at_ms);
    if (label !== lastDay) list.append(make("li", { class: "day", "data-testid": "day" }, label));
    const drawn = line(message, hooks);
    if (before && label === lastDay && side(before) === side(message)) drawn.classList.add("follows");
    if (fresh.delete(message.id)) drawn.classList.add("new");
    list.append(drawn);
    lastDay = label;
    before = message;
  }
  at("welcome").hidden = sorted.length > 0;
}
const fresh = new Set();

function showMe() {
  at("me-name").textContent = current.name;
  at("me-phone").textContent = spelled(current.phone.replace(/\D/g, ""));
  at("me-avatar").textContent = initials(current.name);
  at("me-avatar").style.setProperty("--tint", tint(account ?? current.phone));
}

function showPeople() {
  const known = new Map(customers.map((customer) => [customer.wa_id, customer]));
  const list = at("people-list");
  list.replaceChildren(...[...known.values()].map((customer) =>
    person(customer, customer.wa_id === account, () => guarded(take({ phone: `+${customer.phone}`, name: customer.name })))));
  for (const avatar of list.querySelectorAll("[data-tint]")) avatar.style.setProperty("--tint", avatar.dataset.tint);
  const unread = customers.filter((one) => one.wa_id !== account).reduce((sum, one) => sum + one.unread, 0);
  at("others-unread").hidden = unread === 0;
  at("others-unread").textContent = unread;
}

let typingTimer;
function showTyping() {
  clearTimeout(typingTimer);
  const left = typingUntil - Date.now();
  const nearEnd = isAtEnd();
  at("typing").hidden = left <= 0;
  const sub = at("business-sub");
  sub.textContent = left > 0 ? words.typing : `${words.online} · ${sub.dataset.phone ?? ""}`;
  sub.classList.toggle("active", left > 0);
  if (left > 0) { typingTimer = setTimeout(showTyping, left + 50); if (nearEnd) toEnd(); }
}

function showBanner() {
  const banner = at("banner");
  const problem = !connected ? words.offline : delivery.last_error ? words.undelivered : "";
  banner.hidden = !problem;
  banner.textContent = problem;
  banner.title = (connected && delivery.last_error) || "";
}

const box = at("messages");
const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 90;
function toEnd() { box.scrollTop = box.scrollHeight; }
box.addEventListener("scroll", () => { at("to-end").hidden = isAtEnd(); }, { passive: true });
at("to-end").addEventListener("click", toEnd);
new ResizeObserver(() => { if (at("to-end").hidden) toEnd(); }).observe(at("list"));

// The chat is in front of the customer: what was delivered becomes read.
function reading() {
  const unread = [...messages.values()].some((message) => message.writer === "business" && message.stage === "delivered");
  if (unread && document.visibilityState === "visible") guarded(call("/phone/api/read", { customer: current.phone, phone_number_id: lineId }));
}
document.addEventListener("visibilitychange", reading);

function listen() {
  const source = new EventSource("/phone/events");
  source.onopen = () => { const back = !connected; connected = true; showBanner(); if (back) guarded(take(current)); };
  source.onerror = () => { connected = false; showBanner(); };
  source.onmessage = ({ data }) => happened(JSON.parse(data));
}

function happened(event) {
  if (event.kind === "reset") return guarded(take(current));
  if (event.kind === "delivery") { delivery = event.delivery; return showBanner(); }
  if (event.kind === "typing" && event.wa_id === account) { typingUntil = event.typing_until_ms; return showTyping(); }
  if (event.kind !== "message") return;
  const { message } = event;
  if (message.phone_number_id !== at("business-avatar").dataset.line) return;
  refreshPeopleSoon();
  if (message.wa_id !== account || message.type === "reaction") return;
  const known = messages.has(message.id);
  const stay = !isAtEnd() && side(message) === "incoming";
  if (!known) fresh.add(message.id);
  messages.set(message.id, message);
  if (!known && message.writer === "business") { typingUntil = 0; at("announce").textContent = `${words.newMessage}: ${summary(message)}`; }
  draw();
  showTyping();
  if (!known && !stay) toEnd();
  reading();
}

let peopleTimer;
function refreshPeopleSoon() {
  if (peopleTimer) return;
  peopleTimer = setTimeout(async () => {
    peopleTimer = null;
    const query = new URLSearchParams(lineId ? { phone_number_id: lineId } : {});
    const response = await fetch(`/phone/api/state?${query}`).catch(() => null);
    if (response?.ok) { customers = (await response.json()).customers; showPeople(); }
  }, 400);
}

// What the customer does.
const write = (what) => call("/_sandbox/inbound", { from: current.phone, name: current.name, phone_number_id: lineId, ...what });

const hooks = {
  find: (id) => messages.get(id),
  jump(id) {
    const bubble = document.querySelector(`.bubble[data-id="${CSS.escape(id)}"]`);
    bubble?.scrollIntoView({ block: "center", behavior: "smooth" });
    bubble?.classList.add("flash");
    setTimeout(() => bubble?.classList.remove("flash"), 1300);
  },
  reply: (message) => { setReply(message); at("composer").focus(); },
  react: (message, emoji) => guarded(write({ type: "reaction", content: emoji ? { message_id: message.id, emoji } : { message_id: message.id } })),
  choose: (message, type, content) => guarded(write({ type, content, reply_to: message.id })),
  offerList(message) {
    const { action, body } = message.content;
    const rows = [];
    for (const section of action.sections ?? []) {
      if (section.title) rows.push(make("h3", {}, section.title));
      for (const row of section.rows ?? []) {
        const pick = () => hooks.choose(message, "interactive", { type: "list_reply", list_reply: { id: row.id, title: row.title, ...(row.description ? { description: row.description } : {}) } });
        rows.push(make("button", { "data-testid": "list-row", onclick: pick }, row.title, row.description ? make("small", {}, row.description) : ""));
      }
    }
    at("options-title").textContent = action.button ?? body?.text ?? words.choose;
    at("options-list").replaceChildren(...rows);
    at("options").showModal();
  },
};

function setReply(message) {
  replyTo = message;
  at("reply").hidden = !message;
  if (!message) return;
  at("reply-who").textContent = words[side(message)];
  at("reply-text").textContent = summary(message);
}
at("reply-cancel").addEventListener("click", () => setReply(null));

function setFile(chosen) {
  file = chosen;
  const image = at("attached-image");
  if (image.src) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  at("attached").hidden = !file;
  image.hidden = !file?.type.startsWith("image/");
  if (file) {
    if (!image.hidden) image.src = URL.createObjectURL(file);
    at("attached-name").textContent = file.name;
    at("attached-size").textContent = `${Math.max(1, Math.round(file.size / 1024))} KB`;
  } else { at("file").value = ""; }
  ready();
}
at("pick-file").addEventListener("click", () => { at("attach").open = false; at("file").click(); });
at("file").addEventListener("change", () => setFile(at("file").files[0] ?? null));
at("attached-cancel").addEventListener("click", () => setFile(null));
at("send-location").addEventListener("click", () => {
  at("attach").open = false;
  guarded(write({ type: "location", content: { latitude: -16.6799, longitude: -49.255, name: "Praça Cívica", address: "Setor Central, Goiânia - GO" } }));
});
document.addEventListener("click", (event) => {
  if (!at("attach").contains(event.target)) at("attach").open = false;
  if (!event.target.closest(".emojis, .tools")) for (const open of document.querySelectorAll(".emojis")) open.remove();
});

const composer = at("composer");
function ready() {
  at("send").disabled = !composer.value.trim() && !file;
  composer.style.height = "auto";
  composer.style.height = `${Math.min(132, composer.scrollHeight + 2)}px`;
}
composer.addEventListener("input", ready);
composer.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); at("form").requestSubmit(); }
});
at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = composer.value.trim();
  if (!said && !file) return;
  const sending = { said, file, replyTo };
  composer.value = "";
  setFile(null);
  setReply(null);
  try { await send(sending); } catch (error) {
    composer.value = sending.said;
    if (sending.file) setFile(sending.file);
    setReply(sending.replyTo);
    ready();
    complain(error);
  }
  composer.focus();
});

async function send({ said, file: chosen, replyTo: replied }) {
  const reply = replied ? { reply_to: replied.id } : {};
  if (!chosen) return write({ type: "text", text: said, ...reply });
  const form = new FormData();
  form.append("file", chosen);
  const media = await call("/phone/api/media", form).catch(() => { throw new Error(words.tooLarge); });
  const kind = media.mime_type === "image/webp" ? "sticker" : { image: "image", audio: "audio", video: "video" }[media.mime_type.split("/")[0]] ?? "document";
  const caption = said && kind !== "audio" && kind !== "sticker" ? { text: said } : {};
  await write({ type: kind, media_id: media.id, ...caption, ...reply });
  if (said && !caption.text) await write({ type: "text", text: said });
}

function complain(error) {
  at("banner").hidden = false;
  at("banner").textContent = `${words.failed} ${error.message}`;
  setTimeout(showBanner, 5000);
}
const guarded = (promise) => promise.catch(complain);

// Whose phone it is.
function edit(customer) {
  editing = customer;
  at("edit-title").textContent = customer ? words.editTitle : words.newTitle;
  at("edit-name").value = customer?.name ?? "";
  at("edit-phone").value = customer ? spelled(customer.phone.replace(/\D/g, "")) : "+55 ";
  at("edit-note").textContent = "";
  at("edit").showModal();
}
at("edit-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const typed = at("edit-phone").value.trim();
  let digits = typed.replace(/\D/g, "");
  if (!typed.startsWith("+") && (digits.length === 10 || digits.length === 11)) digits = `55${digits}`;
  if (digits.length < 8 || digits.length > 15) { at("edit-note").textContent = words.badPhone; return; }
  try {
    if (editing) people = people.filter((one) => one.phone !== editing.phone);
    await take({ phone: `+${digits}`, name: at("edit-name").value.trim() });
    at("edit").close();
  } catch { at("edit-note").textContent = words.badPhone; }
});
at("edit-cancel").addEventListener("click", () => at("edit").close());
at("me").addEventListener("click", () => edit(current));
at("people-add").addEventListener("click", () => edit(null));
at("people-open").addEventListener("click", () => { at("people").classList.add("open"); at("people-close").focus(); });
at("people-close").addEventListener("click", () => at("people").classList.remove("open"));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") at("people").classList.remove("open"); });

async function begin() {
  for (const one of [...people].slice(1).reverse()) await call("/phone/api/customers", one).catch(() => null);
  await take(current);
}

translate(document);
at("suggestions").replaceChildren(...words.suggestions.map((said) =>
  make("button", { type: "button", "data-testid": "suggestion", onclick: () => guarded(write({ type: "text", text: said })) }, said)));
showMe();
ready();
listen();
guarded(begin());
