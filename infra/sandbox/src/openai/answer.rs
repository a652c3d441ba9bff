//! The answer when nobody ordered one: what a helpful assistant of that business might say.
//!
//! What the instructions state comes first: the sentences of the system message that are about
//! what was asked are quoted. Only when they are silent does a general answer follow.

use super::intents;
use super::words::{self, stem, subjects, words};

/// What is asked, and what is known.
pub(crate) struct Question<'a> {
    /// System and developer messages.
    pub(crate) instructions: &'a str,
    /// What the user wrote since the assistant last spoke.
    pub(crate) text: &'a str,
    /// The assistant has spoken before, so no greeting unless greeted.
    pub(crate) spoken_before: bool,
    /// The last message holds a picture.
    pub(crate) has_image: bool,
}

/// Composes the answer, in Portuguese or, to a question in English, in English.
pub(crate) fn compose(question: &Question<'_>) -> String {
    let english = is_english(question.text);
    let greeting = greeting(question, english);
    let facts = facts(question.instructions, question.text);
    let body = if question.has_image {
        intents::picture(english).to_owned()
    } else if facts.is_empty() {
        intents::answer(question.text, english)
    } else {
        facts.join(" ")
    };
    match greeting {
        Some(greeting) => format!("{greeting} {body}"),
        None => body,
    }
}

fn is_english(text: &str) -> bool {
    const ENGLISH: &[&str] = &[
        "the", "you", "your", "is", "are", "what", "how", "hello", "hi", "please", "thanks", "thank",
        "deliver", "where", "when", "can", "i", "my", "much",
    ];
    const PORTUGUESE: &[&str] = &[
        "o", "os", "voce", "voces", "vc", "que", "como", "quanto", "oi", "ola", "obrigado", "obrigada",
        "onde", "quando", "em", "para", "meu", "minha", "de", "um", "uma", "nao",
    ];
    let words = words(text);
    let count = |list: &[&str]| words.iter().filter(|w| list.contains(&w.as_str())).count();
    count(ENGLISH) > count(PORTUGUESE)
}

/// A greeting for who greets, and at the beginning.
fn greeting(question: &Question<'_>, english: bool) -> Option<&'static str> {
    let folded = words::fold(question.text);
    let starts = |greeting: &str| folded.trim_start().starts_with(greeting);
    if starts("bom dia") {
        Some("Bom dia!")
    } else if starts("boa tarde") {
        Some("Boa tarde!")
    } else if starts("boa noite") {
        Some("Boa noite!")
    } else if english && (starts("hi") || starts("hello") || !question.spoken_before) {
        Some("Hi!")
    } else if starts("ola") {
        Some("Olá!")
    } else if !english && (starts("oi") || starts("opa") || !question.spoken_before) {
        Some("Oi!")
    } else {
        None
    }
}

/// At most two statements of the instructions that share a subject with the question.
fn facts(instructions: &str, question: &str) -> Vec<String> {
    let asked: Vec<String> = subjects(question).iter().map(|word| stem(word)).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let mut scored: Vec<(usize, usize, String)> = sentences(instructions)
        .enumerate()
        .filter(|(_, sentence)| is_statement(sentence))
        .map(|(position, sentence)| {
            let said: Vec<String> = subjects(sentence).iter().map(|word| stem(word)).collect();
            let mut shared: Vec<&String> = asked.iter().filter(|s| said.contains(s)).collect();
            shared.sort_unstable();
            shared.dedup();
            (shared.len(), position, sentence.to_owned())
        })
        .filter(|(shared, _, _)| *shared > 0)
        .collect();
    scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let best = scored.first().map_or(0, |(shared, _, _)| *shared);
    scored.retain(|(shared, _, _)| *shared == best);
    scored.truncate(2);
    scored.into_iter().map(|(_, _, sentence)| sentence).collect()
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let line = line.trim_start_matches(|c: char| "-*#•> \t".contains(c) || c.is_ascii_digit());
        line.split_inclusive(['.', '!', '?']).map(str::trim).filter(|sentence| sentence.chars().count() > 8)
    })
}

/// Tells what the business says about itself from what it tells its assistant to do.
fn is_statement(sentence: &str) -> bool {
    const ORDERS: &[&str] = &[
        "voce",
        "responda",
        "responder",
        "nunca",
        "sempre",
        "nao",
        "seja",
        "use",
        "evite",
        "fale",
        "diga",
        "pergunte",
        "ofereca",
        "encaminhe",
        "transfira",
        "cumprimente",
        "mantenha",
        "aja",
        "explique",
        "you",
        "answer",
        "never",
        "always",
        "do",
        "be",
        "keep",
        "reply",
        "ask",
        "ignore",
        "trate",
        "chame",
        "apresente",
        "escreva",
        "lembre",
        "considere",
        "quando",
        "se",
        "caso",
        "if",
        "when",
        "seu",
        "sua",
        "your",
        "objetivo",
        "tom",
        "regras",
        "instrucoes",
        "persona",
        "idioma",
        "limite",
        "the",
        "treat",
        "write",
        "speak",
        "act",
    ];
    let said = words(sentence);
    let first = said.first().map_or("", String::as_str);
    !ORDERS.contains(&first) && !sentence.ends_with(':') && !sentence.ends_with('?') && said.len() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(instructions: &str, text: &str) -> String {
        compose(&Question { instructions, text, spoken_before: false, has_image: false })
    }

    #[test]
    fn what_the_instructions_state_is_the_answer() {
        let instructions = "Você é a Lia, atendente da Loja Demo.\n\
            Responda em português sobre entregas.\n\
            - Entregamos em Goiânia e Aparecida em até 2 dias úteis.\n\
            - Aceitamos Pix e cartão em 6 vezes.";
        assert_eq!(
            ask(instructions, "Oi, vocês entregam em Goiânia?"),
            "Oi! Entregamos em Goiânia e Aparecida em até 2 dias úteis."
        );
        assert_eq!(ask(instructions, "Posso pagar no pix?"), "Oi! Aceitamos Pix e cartão em 6 vezes.");
    }

    #[test]
    fn without_facts_the_question_is_taken_up() {
        let answer = ask("", "Oi, vocês entregam em Goiânia?");
        assert!(answer.starts_with("Oi! Sim, entregamos em Goiânia"), "{answer}");
        let english = ask("", "Hello, do you deliver in London?");
        assert!(english.contains("deliver to London"), "{english}");
    }
}
