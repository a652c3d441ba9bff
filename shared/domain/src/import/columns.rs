//! Which column is what.

use std::fmt;

use super::CustomField;
use crate::csv::Record;

/// What a column says of a contact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// What the contact is called.
    Name,
    /// A telephone number, in any spelling.
    Phone,
    /// An email address.
    Email,
    /// The id in the company's own system.
    ExternalId,
    /// Tags, between commas, semicolons or pipes.
    Tags,
    /// A custom field, by its key.
    Custom(String),
}

impl Field {
    /// The field of a name: `name`, `phone`, `email`, `external_id`, `tags`, `custom.<key>`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "phone" => Self::Phone,
            "email" => Self::Email,
            "external_id" => Self::ExternalId,
            "tags" => Self::Tags,
            _ => Self::Custom(name.strip_prefix("custom.").filter(|key| !key.is_empty())?.to_owned()),
        })
    }

    /// Leads to a contact, so that a row that is read twice is known again.
    pub fn is_address(&self) -> bool {
        matches!(self, Self::Phone | Self::Email | Self::ExternalId)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Phone => f.write_str("phone"),
            Self::Email => f.write_str("email"),
            Self::ExternalId => f.write_str("external_id"),
            Self::Tags => f.write_str("tags"),
            Self::Custom(key) => write!(f, "custom.{key}"),
        }
    }
}

/// What people call the columns, folded.
const NAMES: [(Field, &[&str]); 5] = [
    (
        Field::Name,
        &[
            "nome",
            "nome completo",
            "nome do cliente",
            "cliente",
            "contato",
            "name",
            "full name",
            "contact",
            "contact name",
        ],
    ),
    (
        Field::Phone,
        &[
            "telefone",
            "celular",
            "whatsapp",
            "fone",
            "tel",
            "numero",
            "telefone celular",
            "numero de telefone",
            "telefone whatsapp",
            "phone",
            "phone number",
            "mobile",
            "mobile phone",
            "cellphone",
            "cell",
        ],
    ),
    (Field::Email, &["email", "e mail", "endereco de email", "correio eletronico", "email address", "mail"]),
    (
        Field::ExternalId,
        &[
            "external id",
            "id externo",
            "codigo",
            "codigo do cliente",
            "id do cliente",
            "customer id",
            "matricula",
        ],
    ),
    (Field::Tags, &["tags", "tag", "etiquetas", "etiqueta", "marcadores", "tabulacoes", "labels"]),
];

/// What each column probably is: by its name, or by what stands in it where the names say nothing. `custom` are the
/// company's own fields. No field twice.
pub fn suggest(names: &[String], rows: &[Record], custom: &[CustomField]) -> Vec<Option<Field>> {
    let mut suggested: Vec<Option<Field>> = vec![None; names.len()];
    let mut taken: Vec<Field> = Vec::new();
    let mut suggest = |place: &mut Option<Field>, field: Field| {
        if place.is_none() && !taken.contains(&field) {
            taken.push(field.clone());
            *place = Some(field);
        }
    };
    for (place, name) in suggested.iter_mut().zip(names) {
        let name = fold(name);
        // What we exported names its columns as we do.
        let ours = NAMES.iter().find(|(field, _)| fold(&field.to_string()) == name);
        if let Some((field, _)) =
            ours.or_else(|| NAMES.iter().find(|(_, known)| known.contains(&name.as_str())))
        {
            suggest(place, field.clone());
        }
        let own = |own: &&CustomField| {
            [fold(&own.key), fold(&own.label), fold(&format!("custom.{}", own.key))].contains(&name)
        };
        if let Some(own) = custom.iter().find(own) {
            suggest(place, Field::Custom(own.key.clone()));
        }
    }
    let all = |number: usize, is: fn(&str) -> bool| {
        let mut cells = rows.iter().filter_map(|row| row.cells.get(number)).map(|cell| cell.trim());
        let mut cells = cells.by_ref().filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(is)
    };
    for (field, is) in [
        (Field::Email, crate::user::is_email as fn(&str) -> bool),
        (Field::Phone, looks_like_phone),
        (Field::Name, |cell| cell.chars().any(char::is_alphabetic) && !cell.contains(['@', '/', '\\'])),
    ] {
        for (number, place) in suggested.iter_mut().enumerate() {
            // A column that has a name of its own is what that says.
            let is_nameless = names[number].starts_with("column_");
            if is_nameless && all(number, is) {
                suggest(place, field.clone());
            }
        }
    }
    suggested
}

fn looks_like_phone(cell: &str) -> bool {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    (8..=15).contains(&digits) && cell.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c))
}

/// Lower case, without accents, one blank where something else than letters and digits stands.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = match c {
            'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            c => c,
        };
        if c.is_alphanumeric() {
            folded.push(c);
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn names(fields: Vec<Option<Field>>) -> Vec<String> {
        fields.into_iter().map(|field| field.map(|field| field.to_string()).unwrap_or_default()).collect()
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let custom = [CustomField {
            key: "city".to_owned(),
            label: "Cidade".to_owned(),
            field_type: crate::contact::FieldType::Text,
            options: Vec::new(),
        }];
        let header = owned(&["Código", "NOME COMPLETO", "Celular", "Telefone", "E-mail", "cidade", "Obs."]);
        let suggested = suggest(&header, &[], &custom);
        assert_eq!(names(suggested), ["external_id", "name", "phone", "", "email", "custom.city", ""]);
        let exported = owned(&["name", "external_id", "tags", "custom.city", "created_at"]);
        assert_eq!(
            names(suggest(&exported, &[], &custom)),
            ["name", "external_id", "tags", "custom.city", ""]
        );
    }

    #[test]
    fn nameless_columns_are_known_by_what_stands_in_them() {
        let columns = owned(&["column_1", "column_2", "column_3", "column_4"]);
        let rows = [["Ana", "(62) 99999-0001", "ana@loja.com", "7"], ["Rui", "6298888-0001", "", "8"]];
        let rows = rows.map(|row| Record { cells: owned(&row), end: 0 });
        assert_eq!(names(suggest(&columns, &rows, &[])), ["name", "phone", "email", ""]);
        assert_eq!(names(suggest(&columns, &[], &[])), ["", "", "", ""]);
    }

    #[test]
    fn fields_have_names() {
        for name in ["name", "phone", "email", "external_id", "tags", "custom.city"] {
            assert_eq!(Field::parse(name).map(|field| field.to_string()).as_deref(), Some(name));
        }
        for nothing in ["", "custom.", "id", "Name"] {
            assert_eq!(Field::parse(nothing), None, "{nothing}");
        }
    }
}
