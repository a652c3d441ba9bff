// Draws messages. All text goes in as text, never as markup.
import { clock, spelled, summary, words } from "/phone/words.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const drawings = {
  waiting: "M6.5 2.5a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM6.5 5v2.8l1.8 1",
  sent: "M5 7l3.2 3.2L14 4",
  read: "M1.5 7l3.2 3.2L10.5 4M8.6 9.6l.8.8L15.5 4",
  reply: "M9 7L4 12l5 5M4 12h10a6 6 0 0 1 6 6v1",
  react: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5v.2M15 9.5v.2",
  file: "M7 3h7l5 5v13H7zM14 3v5h5M10 13h6M10 17h6",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-5 4-7 8-7s8 2 8 7",
  pin: "M12 21s7-6 7-11a7 7 0 0 0-14 0c0 5 7 11 7 11z",
};
export function drawing(name, box = "0 0 24 24", classes = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", box);
  if (classes) svg.setAttribute("class", classes);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", drawings[name]);
  svg.append(path);
  return svg;
}

// The customer's side: what they wrote is outgoing, what the business wrote is incoming.
export const side = (message) => (message.writer === "customer" ? "outgoing" : "incoming");

// `hooks`: reply, react, choose, find, jump, offerList.
export function line(message, hooks) {
  const direction = side(message);
  const bubble = make("div", {
    class: "bubble", "data-testid": "bubble", "data-direction": direction, "data-id": message.id,
    "data-type": message.type, "data-status": shownStatus(message), role: "article",
    "aria-label": `${words[direction]}, ${clock(message.at_ms)}`,
  }, quote(message, hooks), ...body(message, hooks), foot(message), choices(message, hooks));
  const emoji = [message.reaction_of_customer, message.reaction_of_business].filter(Boolean);
  if (emoji.length) bubble.append(make("span", { class: "reaction", "data-testid": "reaction" }, [...new Set(emoji)].join(" ")));
  const element = make("li", { class: emoji.length ? "line has-reaction" : "line", "data-side": direction }, bubble, tools(message, hooks));
  bubble.addEventListener("touchstart", () => hold(element), { passive: true });
  return element;
}

function hold(element) {
  for (const held of document.querySelectorAll(".held")) if (held !== element) held.classList.remove("held");
  element.classList.add("held");
}

const shownStatus = (message) => {
  if (message.writer !== "customer") return message.stage;
  return { accepted: "waiting", sent: "sent", read: "read" }[message.stage] ?? "sent";
};

function foot(message) {
  const time = make("time", { datetime: new Date(message.at_ms).toISOString() }, clock(message.at_ms));
  if (message.writer !== "customer") return make("div", { class: "foot" }, time);
  const status = shownStatus(message);
  const ticks = drawing(status, status === "waiting" ? "0 0 13 15" : "0 0 17 14", `ticks ${status}`);
  return make("div", { class: "foot" }, time, ticks, make("span", { class: "visually-hidden", "data-testid": "ticks" }, words[status]));
}

function tools(message, hooks) {
  const reply = make("button", { type: "button", class: "icon-button", "aria-label": words.reply, title: words.reply, "data-testid": "reply", onclick: () => hooks.reply(message) }, drawing("reply"));
  if (message.writer === "customer") return make("div", { class: "tools" }, reply);
  const react = make("button", { type: "button", class: "icon-button", "aria-label": words.react, title: words.react, "data-testid": "react", "aria-expanded": "false", onclick: (event) => offerEmoji(event.currentTarget, message, hooks) }, drawing("react"));
  return make("div", { class: "tools" }, reply, react);
}

function offerEmoji(button, message, hooks) {
  const bubble = button.closest(".line").querySelector(".bubble");
  const open = bubble.querySelector(".emojis");
  if (open) { open.remove(); button.setAttribute("aria-expanded", "false"); return; }
  button.setAttribute("aria-expanded", "true");
  const pick = (emoji) => { bubble.querySelector(".emojis")?.remove(); hooks.react(message, message.reaction_of_customer === emoji ? "" : emoji); };
  const emojis = ["👍", "❤️", "😂", "😮", "😢", "🙏"].map((emoji) =>
    make("button", { type: "button", "aria-label": message.reaction_of_customer === emoji ? words.remove : emoji, onclick: () => pick(emoji) }, emoji));
  bubble.append(make("div", { class: "emojis", role: "menu" }, ...emojis));
  emojis[0].focus();
}

function quote(message, hooks) {
  const replied = message.reply_to && hooks.find(message.reply_to);
  if (!replied) return null;
  return make("button", { type: "button", class: "quote", onclick: () => hooks.jump(replied.id) },
    make("b", {}, words[side(replied)]), make("span", {}, summary(replied)));
}

function body(message, hooks) {
  const content = message.content ?? {};
  switch (message.type) {
    case "text": return [text(content.body ?? "")];
    case "button": return [text(content.text ?? "")];
    case "image": case "video": case "audio": case "document": case "sticker":
      return [...media(message), content.caption ? text(content.caption) : null];
    case "location": return location(content);
    case "contacts": return (Array.isArray(content) ? content : []).map((contact) =>
      make("div", { class: "card" }, drawing("person"), make("div", {}, make("b", {}, contact.name?.formatted_name ?? words.contacts), make("small", {}, contact.phones?.[0]?.phone ?? ""))));
    case "template": return [text(content.rendered?.body ?? content.name ?? ""), smallprint(content.rendered?.footer)];
    case "interactive": {
      const chosen = content.button_reply ?? content.list_reply;
      if (chosen) return [text(chosen.title), smallprint(chosen.description)];
      const header = content.header?.text;
      return [header ? make("b", { class: "heading" }, header) : null, text(content.body?.text ?? ""), smallprint(content.footer?.text)];
    }
    default: return [text(words[message.type] ?? words.unsupported)];
  }
}

const smallprint = (said) => (said ? make("div", { class: "smallprint" }, said) : null);

// Text with its addresses made into links.
function text(said) {
  const onlyEmoji = /^(\p{Extended_Pictographic}|\p{Emoji_Component}|\s)+$/u.test(said) && !/[\d#*]/.test(said) && [...said].length <= 6;
  const element = make("div", { class: onlyEmoji ? "text large" : "text" });
  for (const part of said.split(/(https?:\/\/[^\s]+[^\s.,;:!?)\]])/g)) {
    element.append(/^https?:\/\//.test(part) ? make("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part) : part);
  }
  return element;
}

function media(message) {
  const file = message.attachment;
  if (!file) return [make("div", { class: "card" }, drawing("file"), make("b", {}, words[message.type]))];
  const address = `/phone/media/${file.id}`;
  const name = file.filename ?? words[message.type];
  switch (message.type) {
    case "image": case "sticker":
      return [make("a", { href: address, target: "_blank", rel: "noopener" }, make("img", { class: message.type === "sticker" ? "picture sticker" : "picture", src: address, alt: message.content.caption || words[message.type] }))];
    case "video": return [make("video", { src: address, controls: true, preload: "metadata" })];
    case "audio": return [make("audio", { src: address, controls: true, preload: "metadata", "aria-label": words.audio })];
    default: return [make("a", { class: "card", href: address, target: "_blank", rel: "noopener" }, drawing("file"), make("div", {}, make("b", {}, name), make("small", {}, file.mime_type)))];
  }
}

function location(content) {
  const place = `${content.latitude},${content.longitude}`;
  const address = `https://www.openstreetmap.org/?mlat=${content.latitude}&mlon=${content.longitude}#map=16/${content.latitude}/${content.longitude}`;
  return [
    make("a", { class: "map", href: address, target: "_blank", rel: "noopener noreferrer", "aria-label": words.openMap }, drawing("pin")),
    make("b", { class: "heading" }, content.name ?? words.location), make("div", { class: "smallprint" }, content.address ?? place),
  ];
}

// What can be tapped: reply buttons, a list, a link, a template's quick replies.
function choices(message, hooks) {
  const { type, content } = message;
  const buttons = [];
  if (message.writer === "customer") return null;
  const add = (label, act) => buttons.push(make("button", { type: "button", "data-testid": "choice", onclick: act }, label));
  if (type === "interactive" && content.type === "button") {
    for (const { reply } of content.action?.buttons ?? []) {
      add(reply.title, () => hooks.choose(message, "interactive", { type: "button_reply", button_reply: { id: reply.id, title: reply.title } }));
    }
  } else if (type === "interactive" && content.type === "list") {
    add(content.action?.button ?? words.choose, () => hooks.offerList(message));
  } else if (type === "interactive" && content.type === "cta_url") {
    const { display_text: label, url } = content.action.parameters;
    buttons.push(make("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label));
  } else if (type === "template") {
    (content.rendered?.buttons ?? []).forEach((button, index) => {
      if (button.type === "URL") buttons.push(make("a", { href: button.url, target: "_blank", rel: "noopener noreferrer" }, button.text));
      else add(button.text, () => hooks.choose(message, "button", { payload: payloadOf(content, index) ?? button.text, text: button.text }));
    });
  }
  return buttons.length ? make("div", { class: "choices" }, ...buttons) : null;
}

function payloadOf(content, index) {
  const button = (content.components ?? []).find((component) => component.type === "button" && Number(component.index) === index);
  return button?.parameters?.[0]?.payload;
}

export function initials(name) {
  const parts = name.replace(/[^\p{L}\p{N} ]/gu, "").trim().split(/\s+/);
  return ((parts[0]?.[0] ?? "?") + (parts.length > 1 ? parts.at(-1)[0] : "")).toUpperCase();
}

const tints = ["#b45309", "#0f766e", "#9d174d", "#1d4ed8", "#6d28d9", "#047857", "#be123c", "#0e7490"];
export function tint(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.charCodeAt(0)) % 9973;
  return tints[sum % tints.length];
}

export function person(customer, current, choose) {
  const last = customer.last_message;
  return make("li", {}, make("button", { type: "button", class: "person", "data-testid": "customer", "data-phone": customer.phone, "aria-current": String(current), onclick: choose },
    make("span", { class: "avatar", style: undefined, "data-tint": tint(customer.wa_id), "aria-hidden": "true" }, initials(customer.name)),
    make("span", { class: "person-text" }, make("b", {}, customer.name), make("span", {}, last ? summary(last) : spelled(customer.phone))),
    make("span", { class: "person-side" }, last ? make("time", {}, clock(last.at_ms)) : "", customer.unread ? make("span", { class: "badge" }, String(customer.unread)) : "")));
}
