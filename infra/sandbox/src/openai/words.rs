//! Words of a text: folded, stripped of what carries no meaning.

/// Words that say nothing about the subject, already folded.
const EMPTY_WORDS: &[&str] = &[
    "a", "o", "as", "os", "um", "uma", "uns", "umas", "de", "do", "da", "dos", "das", "em", "no", "na",
    "nos", "nas", "por", "para", "pra", "pro", "com", "sem", "e", "ou", "que", "se", "eu", "tu", "ele",
    "ela", "nos", "voce", "voces", "vc", "vcs", "meu", "minha", "seu", "sua", "me", "te", "lhe", "isso",
    "isto", "esse", "essa", "este", "esta", "qual", "quais", "como", "quando", "onde", "quanto", "quanta",
    "sao", "foi", "ser", "ter", "tem", "tenho", "oi", "ola", "bom", "boa", "dia", "tarde", "noite", "tudo",
    "bem", "favor", "obrigado", "obrigada", "sim", "nao", "the", "an", "of", "in", "on", "at", "to", "for",
    "and", "or", "is", "are", "do", "does", "you", "your", "i", "my", "we", "it", "this", "that", "what",
    "how", "when", "where", "hi", "hello", "please", "can", "could", "would", "ai", "la", "gostaria",
    "queria", "quero", "saber",
];

/// Lower case without accents: `Goiânia` → `goiania`.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .map(|character| match character {
            'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            other => other,
        })
        .collect()
}

/// All words, folded.
pub(crate) fn words(text: &str) -> Vec<String> {
    fold(text)
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The words that say what a text is about.
pub(crate) fn subjects(text: &str) -> Vec<String> {
    let mut words = words(text);
    words.retain(|word| word.len() > 1 && !EMPTY_WORDS.contains(&word.as_str()));
    words
}

/// The part of a word that its forms share: `entregamos`, `entrega`, `entregas` → `entreg`.
pub(crate) fn stem(word: &str) -> String {
    let length = word.chars().count();
    let kept = match length {
        0..=4 => length,
        5..=6 => length - 1,
        _ => 6,
    };
    word.chars().take(kept).collect()
}

/// Roughly what a tokeniser would count: four characters a token.
pub(crate) fn count_tokens(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}
