//! General answers by subject, for a business whose instructions say nothing about it.

use super::words::{fold, subjects, words};

struct Intent {
    /// Beginnings of folded words that point here.
    signs: &'static [&'static str],
    portuguese: &'static str,
    english: &'static str,
}

/// In order of preference. `{subject}` is what was asked about.
const INTENTS: &[Intent] = &[
    Intent {
        signs: &["atendente", "humano", "pessoa", "gerente", "human", "agent", "operator"],
        portuguese: "Claro! Vou chamar uma pessoa da nossa equipe para continuar com você por aqui.",
        english: "Of course! I'll ask someone on our team to continue with you here.",
    },
    Intent {
        signs: &["reclam", "problema", "defeito", "quebr", "atras", "complain", "broken", "late"],
        portuguese: "Sinto muito pelo transtorno. Me passa o número do pedido? Vou verificar agora mesmo.",
        english: "I'm sorry about that. Could you send me the order number? I'll check right away.",
    },
    Intent {
        signs: &["preco", "valor", "custa", "quanto", "price", "cost", "much"],
        portuguese: "Sobre o valor{subject}: me diz o modelo e a quantidade que você quer e eu já te passo certinho.",
        english: "About the price{subject}: tell me the model and quantity you'd like and I'll quote it right away.",
    },
    Intent {
        signs: &["horario", "abre", "abert", "fecha", "funciona", "hours", "open", "close"],
        portuguese: "Atendemos de segunda a sexta, das 8h às 18h, e aos sábados, das 8h às 12h.",
        english: "We're open Monday to Friday, 8 am to 6 pm, and Saturdays from 8 am to noon.",
    },
    Intent {
        signs: &["pagamento", "pagar", "pix", "cartao", "boleto", "parcel", "pay", "card"],
        portuguese: "Você pode pagar por Pix, cartão em até 6x ou boleto. Qual prefere?",
        english: "You can pay by Pix, card in up to 6 instalments, or bank slip. Which do you prefer?",
    },
    Intent {
        signs: &["agend", "marcar", "remarc", "consulta", "schedule", "appointment", "book"],
        portuguese: "Vamos agendar! Qual dia e período ficam melhores para você?",
        english: "Let's schedule it! Which day and time suit you best?",
    },
    Intent {
        signs: &["endereco", "onde", "localiza", "address", "where", "located"],
        portuguese: "Posso te mandar nossa localização por aqui. Você vem de qual bairro?",
        english: "I can send you our location here. Which area are you coming from?",
    },
    Intent {
        signs: &["obrigad", "valeu", "thank"],
        portuguese: "Eu que agradeço! Se precisar de mais alguma coisa, é só chamar.",
        english: "You're welcome! If you need anything else, just write.",
    },
];

/// What is said about a picture.
pub(crate) fn picture(english: bool) -> &'static str {
    if english {
        "Thanks for the picture! What would you like to know about it?"
    } else {
        "Recebi a imagem, obrigado! O que você gostaria de saber sobre ela?"
    }
}

/// An answer that takes up what was asked.
pub(crate) fn answer(text: &str, english: bool) -> String {
    let words = words(text);
    let speaks_of = |signs: &[&str]| words.iter().any(|word| signs.iter().any(|sign| word.starts_with(sign)));
    if speaks_of(&["entreg", "envia", "frete", "deliver", "ship"]) {
        return delivery(text, english);
    }
    if let Some(intent) = INTENTS.iter().find(|intent| speaks_of(intent.signs)) {
        let template = if english { intent.english } else { intent.portuguese };
        return template.replace("{subject}", &subject(text, intent.signs, english));
    }
    other(text, english)
}

fn delivery(text: &str, english: bool) -> String {
    match (place(text), english) {
        (Some(place), false) => format!(
            "Sim, entregamos em {place}! O prazo costuma ser de 2 a 5 dias úteis. Quer que eu \
             calcule o frete para o seu CEP?"
        ),
        (None, false) => "Sim, fazemos entregas! Me passa o seu CEP que eu confirmo o prazo e o \
                          valor do frete."
            .into(),
        (Some(place), true) => format!(
            "Yes, we deliver to {place}! It usually takes 2 to 5 working days. Shall I work out \
             the shipping cost for your postcode?"
        ),
        (None, true) => "Yes, we deliver! Send me your postcode and I'll confirm time and cost.".into(),
    }
}

/// The capitalised words after a preposition: `em Aparecida de Goiânia` → `Aparecida de Goiânia`.
fn place(text: &str) -> Option<String> {
    const BEFORE: &[&str] = &["em", "para", "pra", "no", "na", "in", "to"];
    const INSIDE: &[&str] = &["de", "do", "da", "dos", "das"];
    let words: Vec<&str> = text.split_whitespace().collect();
    for (index, word) in words.iter().enumerate() {
        if !BEFORE.contains(&fold(word).as_str()) {
            continue;
        }
        let mut place: Vec<&str> = Vec::new();
        for next in &words[index + 1..] {
            let bare = next.trim_matches(|c: char| !c.is_alphanumeric());
            let capital = bare.chars().next().is_some_and(char::is_uppercase);
            if !capital && (place.is_empty() || !INSIDE.contains(&bare)) {
                break;
            }
            place.push(bare);
            if next.ends_with(['?', '!', '.', ',', ';']) {
                break;
            }
        }
        while place.last().is_some_and(|word| INSIDE.contains(word)) {
            place.pop();
        }
        if !place.is_empty() {
            return Some(place.join(" "));
        }
    }
    None
}

/// ` de “bolo”` / ` of “cake”`: the words asked about that are not the sign itself.
fn subject(text: &str, signs: &[&str], english: bool) -> String {
    let about = subjects(text);
    let wanted: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| {
            let folded = fold(word);
            about.contains(&folded) && !signs.iter().any(|sign| folded.starts_with(sign))
        })
        .take(4)
        .collect();
    match (wanted.is_empty(), english) {
        (true, _) => String::new(),
        (false, true) => format!(" of “{}”", wanted.join(" ")),
        (false, false) => format!(" de “{}”", wanted.join(" ")),
    }
}

fn other(text: &str, english: bool) -> String {
    let asked = text.lines().last().unwrap_or_default().trim();
    let quoted: String = asked.chars().take(80).collect();
    match (subjects(text).is_empty(), english) {
        (true, true) => "How can I help you?".into(),
        (true, false) => "Como posso te ajudar?".into(),
        (false, true) => {
            format!("Got it, about “{quoted}”: I can help you with that. Could you tell me a little more?")
        }
        (false, false) => {
            format!("Entendi, sobre “{quoted}”: posso te ajudar com isso. Me conta um pouquinho mais?")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_several_words_stay_whole() {
        assert_eq!(place("entregam em Aparecida de Goiânia hoje?").as_deref(), Some("Aparecida de Goiânia"));
        assert_eq!(place("entregam em casa?"), None);
    }

    #[test]
    fn the_subject_of_a_price_is_named() {
        let answer = answer("Quanto custa o bolo de cenoura?", false);
        assert!(answer.contains("de “bolo cenoura”"), "{answer}");
    }
}
