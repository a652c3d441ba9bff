// Everything the page says, in Portuguese and English.
const portuguese = {
  title: "Telefone do cliente", customers: "Clientes",
  hint: "Cada cliente é um telefone. Escolha de quem é o telefone na sua mão.",
  addCustomer: "Novo cliente", close: "Fechar", switchCustomer: "Trocar de cliente",
  editMe: "Editar seu nome e número", conversation: "Conversa", composer: "Mensagem",
  welcomeTitle: "Diga oi!", welcomeBody: "Este é o telefone de um cliente. O que você escrever chega à empresa como uma mensagem de verdade.",
  typing: "digitando…", toEnd: "Ir para o fim", cancelReply: "Cancelar resposta", removeFile: "Remover arquivo",
  attach: "Anexar", pickFile: "Foto, áudio ou arquivo", sendLocation: "Minha localização", send: "Enviar",
  name: "Nome", phone: "Número com DDD", cancel: "Cancelar", save: "Salvar", editTitle: "Este telefone", newTitle: "Novo cliente",
  badPhone: "Digite um número de telefone válido.", today: "Hoje", yesterday: "Ontem", you: "Você",
  reply: "Responder", react: "Reagir", remove: "Remover reação",
  waiting: "Aguardando conexão", sent: "Enviada", read: "Lida pela empresa",
  offline: "Sem conexão com o servidor. Tentando de novo…",
  undelivered: "A empresa não está recebendo suas mensagens. Elas serão entregues assim que possível.",
  failed: "Não foi possível enviar.", tooLarge: "Este tipo ou tamanho de arquivo não é aceito.",
  image: "Foto", video: "Vídeo", audio: "Áudio", document: "Documento", sticker: "Figurinha", location: "Localização",
  contacts: "Contato", template: "Mensagem", interactive: "Mensagem", order: "Pedido", unsupported: "Mensagem não suportada",
  incoming: "Empresa", outgoing: "Você", newMessage: "Nova mensagem", choose: "Escolha uma opção", openMap: "Abrir no mapa",
  online: "conta comercial",
  suggestions: ["Oi, vocês entregam em Goiânia?", "Quanto custa?", "Quero falar com uma pessoa"],
};
const english = {
  title: "Customer's phone", customers: "Customers",
  hint: "Each customer is a phone. Choose whose phone you are holding.",
  addCustomer: "New customer", close: "Close", switchCustomer: "Switch customer",
  editMe: "Edit your name and number", conversation: "Conversation", composer: "Message",
  welcomeTitle: "Say hi!", welcomeBody: "This is a customer's phone. What you write reaches the business as a real message.",
  typing: "typing…", toEnd: "Go to the end", cancelReply: "Cancel reply", removeFile: "Remove file",
  attach: "Attach", pickFile: "Photo, audio or file", sendLocation: "My location", send: "Send",
  name: "Name", phone: "Phone number", cancel: "Cancel", save: "Save", editTitle: "This phone", newTitle: "New customer",
  badPhone: "Please type a valid phone number.", today: "Today", yesterday: "Yesterday", you: "You",
  reply: "Reply", react: "React", remove: "Remove reaction",
  waiting: "Waiting for connection", sent: "Sent", read: "Read by the business",
  offline: "No connection to the server. Trying again…",
  undelivered: "The business is not receiving your messages. They will be delivered as soon as possible.",
  failed: "Could not be sent.", tooLarge: "This type or size of file is not accepted.",
  image: "Photo", video: "Video", audio: "Audio", document: "Document", sticker: "Sticker", location: "Location",
  contacts: "Contact", template: "Message", interactive: "Message", order: "Order", unsupported: "Unsupported message",
  incoming: "Business", outgoing: "You", newMessage: "New message", choose: "Choose an option", openMap: "Open in map",
  online: "business account",
  suggestions: ["Hi, do you deliver in London?", "How much is it?", "I'd like to talk to a person"],
};

const isEnglish = navigator.language.toLowerCase().startsWith("en");
export const locale = isEnglish ? navigator.language : "pt-BR";
export const words = isEnglish ? english : portuguese;

// Fills the marked places of the page.
export function translate(root) {
  document.documentElement.lang = isEnglish ? "en" : "pt-BR";
  document.title = words.title;
  for (const place of root.querySelectorAll("[data-text]")) place.textContent = words[place.dataset.text];
  for (const place of root.querySelectorAll("[data-label]")) {
    place.setAttribute("aria-label", words[place.dataset.label]);
    if (place.matches("button, summary")) place.title = words[place.dataset.label];
  }
  for (const place of root.querySelectorAll("[data-placeholder]")) place.placeholder = words[place.dataset.placeholder];
}

export const clock = (at) => new Date(at).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });

export function day(at) {
  const date = new Date(at);
  const start = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  const days = Math.round((start(new Date()) - start(date)) / 86400000);
  if (days === 0) return words.today;
  if (days === 1) return words.yesterday;
  return date.toLocaleDateString(locale, { weekday: days < 7 ? "long" : undefined, day: "numeric", month: "long" });
}

// 5562988880001 → +55 62 98888-0001
export function spelled(digits) {
  const parts = /^55(\d{2})(\d{4,5})(\d{4})$/.exec(digits);
  return parts ? `+55 ${parts[1]} ${parts[2]}-${parts[3]}` : `+${digits}`;
}

// One line that stands for a message.
export function summary(message) {
  const content = message.content ?? {};
  switch (message.type) {
    case "text": return content.body ?? "";
    case "interactive": return content.body?.text ?? content.button_reply?.title ?? content.list_reply?.title ?? words.interactive;
    case "button": return content.text ?? "";
    case "template": return content.rendered?.body ?? words.template;
    default: return content.caption || (words[message.type] ?? words.unsupported);
  }
}
