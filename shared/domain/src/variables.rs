//! Variables in texts: `{{contact.name}}`, and with words for when there is none, `{{contact.name|cliente}}`.

use std::fmt;

/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable<'a> {
    /// `contact.name`.
    ContactName,
    /// `contact.first_name`.
    ContactFirstName,
    /// `contact.phone`.
    ContactPhone,
    /// `contact.email`.
    ContactEmail,
    /// `contact.custom.<key>`: a field of the company's own.
    ContactCustom(&'a str),
    /// `agent.name`: who writes.
    AgentName,
    /// `company.name`.
    CompanyName,
}

impl<'a> Variable<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "contact.name" => Self::ContactName,
            "contact.first_name" => Self::ContactFirstName,
            "contact.phone" => Self::ContactPhone,
            "contact.email" => Self::ContactEmail,
            "agent.name" => Self::AgentName,
            "company.name" => Self::CompanyName,
            other => {
                let key = other.strip_prefix("contact.custom.")?;
                let is_key =
                    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
                return is_key.then_some(Self::ContactCustom(key));
            }
        })
    }
}

/// A text holds a variable that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownVariable(String);

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no variable {}: contact.name, contact.first_name, contact.phone, contact.email, \
             contact.custom.<field>, agent.name, company.name",
            self.0
        )
    }
}

enum Part<'a> {
    Text(&'a str),
    Variable(Variable<'a>, &'a str),
    Unknown(&'a str),
}

/// Braces that nobody closes are text.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(start) = rest.find("{{").filter(|start| rest[*start..].contains("}}")) else {
            return Some(Part::Text(std::mem::take(&mut rest)));
        };
        if start > 0 {
            let (before, behind) = rest.split_at(start);
            rest = behind;
            return Some(Part::Text(before));
        }
        let (inside, behind) = rest[2..].split_once("}}")?;
        rest = behind;
        let (name, otherwise) = inside.split_once('|').unwrap_or((inside, ""));
        Some(match Variable::parse(name.trim()) {
            Some(variable) => Part::Variable(variable, otherwise.trim()),
            None => Part::Unknown(name.trim()),
        })
    })
}

/// Checks that every variable of a text exists.
///
/// # Errors
/// When one does not; the first one.
pub fn check(text: &str) -> Result<(), UnknownVariable> {
    match parts(text).find_map(|part| if let Part::Unknown(name) = part { Some(name) } else { None }) {
        Some(name) => Err(UnknownVariable(name.to_owned())),
        None => Ok(()),
    }
}

/// Fills a text in: each variable with its value, or with its other words where there is none.
pub fn render<'a>(text: &'a str, value: impl Fn(Variable<'a>) -> Option<String>) -> String {
    parts(text)
        .map(|part| match part {
            Part::Text(text) => text.to_owned(),
            Part::Variable(variable, otherwise) => {
                value(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
            }
            Part::Unknown(_) => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        render(text, |variable| match variable {
            Variable::ContactName => Some("Ana Souza".to_owned()),
            Variable::ContactCustom("pedido") => Some("17".to_owned()),
            Variable::ContactEmail => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, expected) in [
            ("", ""),
            ("Olá!", "Olá!"),
            ("Olá, {{contact.name}}!", "Olá, Ana Souza!"),
            ("{{ contact.name }}{{contact.custom.pedido}}", "Ana Souza17"),
            ("Oi {{contact.phone}}.", "Oi ."),
            ("Oi {{contact.phone | sem número}}.", "Oi sem número."),
            ("{{contact.email|nenhum}}", "nenhum"),
            ("Chaves { e {{ soltas", "Chaves { e {{ soltas"),
            ("{{contact.name}} e {{", "Ana Souza e {{"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_variable_that_there_is_not_is_named() {
        for (text, name) in [
            ("{{contact.nome}}", "contact.nome"),
            ("{{}}", ""),
            ("{{contact.custom.}}", "contact.custom."),
            ("{{contact.name}} {{x|y}}", "x"),
        ] {
            assert_eq!(check(text), Err(UnknownVariable(name.to_owned())), "{text}");
        }
    }
}
