//! What a row says of a contact.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{CustomField, Field, custom};
use crate::contact::{EXTERNAL_ID_CHARS, NAME_CHARS, TAG_CHARS, TAGS};
use crate::csv::unguard;
use crate::inbound::{Address, AddressKind};
use crate::phone;

/// What a row says of a contact; what it does not say is `None`, and stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What the contact is called.
    pub name: Option<String>,
    /// Canonical E.164.
    pub phone: Option<String>,
    /// In lower case.
    pub email: Option<String>,
    /// The id in the company's own system.
    pub external_id: Option<String>,
    /// Tags that the contact has from now on.
    pub tags: Vec<String>,
    /// Custom fields.
    pub custom: Map<String, Value>,
}

impl Row {
    /// The addresses, the surest first: an id is given once, a number changes hands, a mailbox is shared.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        [
            (AddressKind::External, &self.external_id),
            (AddressKind::E164, &self.phone),
            (AddressKind::Email, &self.email),
        ]
        .into_iter()
        .filter_map(|(kind, value)| value.clone().map(|value| Address { kind, value }))
    }

    /// What WhatsApp may call the row's number: under such an address alone is known who wrote before their number was
    /// on file.
    pub fn whatsapp_addresses(&self) -> impl Iterator<Item = Address> {
        let candidates = self.phone.as_deref().map(phone::wa_id_candidates).unwrap_or_default();
        candidates.into_iter().map(|value| Address { kind: AddressKind::WaId, value })
    }
}

/// Why a row is no contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Which field is wrong.
    pub field: String,
    /// Stable word for it.
    pub code: &'static str,
    /// For people.
    pub reason: Cow<'static, str>,
}

impl RowError {
    fn new(field: &Field, code: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.to_string(), code, reason: reason.into() }
    }
}

/// Reads rows: which column is what, and what the company's own fields are.
#[derive(Clone, Debug)]
pub struct Rows {
    columns: Vec<(usize, Field)>,
    custom: HashMap<String, CustomField>,
    default_country: String,
}

impl Rows {
    /// `columns` says by number what a column is. National numbers are of `default_country`, ISO 3166.
    pub fn new(
        columns: Vec<(usize, Field)>,
        custom: impl IntoIterator<Item = CustomField>,
        default_country: &str,
    ) -> Self {
        let custom = custom.into_iter().map(|field| (field.key.clone(), field)).collect();
        Self { columns, custom, default_country: default_country.to_owned() }
    }

    /// Reads one; `None` when it is empty.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self, cells: &[String]) -> Result<Option<Row>, Vec<RowError>> {
        let mut row = Row::default();
        let mut errors = Vec::new();
        for (number, field) in &self.columns {
            let cell = cells.get(*number).map_or("", |cell| unguard(cell.trim()).trim());
            // No text of PostgreSQL holds one.
            let cell = if cell.contains('\0') { cell.replace('\0', " ").into() } else { Cow::Borrowed(cell) };
            // Of what nobody sees no line is left: an id of it would be one of many customers.
            let is_blank = cell.chars().all(|c| c.is_whitespace() || c.is_control());
            if !is_blank && let Err(error) = self.put(&mut row, field, cell.trim()) {
                errors.push(error);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if row.addresses().next().is_some() {
            return Ok(Some(row));
        }
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(None);
        }
        let reason = "the row has neither a phone nor an email nor an external id";
        Err(vec![RowError { field: String::new(), code: "no_address", reason: reason.into() }])
    }

    fn put(&self, row: &mut Row, field: &Field, cell: &str) -> Result<(), RowError> {
        match field {
            Field::Name => row.name = Some(line(field, cell, NAME_CHARS)?),
            Field::Phone => row.phone = Some(self.phone(cell)?),
            Field::Email => {
                let email = cell.to_lowercase();
                if !crate::user::is_email(&email) {
                    return Err(RowError::new(field, "email_invalid", "not an email address"));
                }
                row.email = Some(email);
            }
            Field::ExternalId => row.external_id = Some(line(field, cell, EXTERNAL_ID_CHARS)?),
            Field::Tags => {
                for tag in cell.split([',', ';', '|']) {
                    let tag = line(field, tag.trim(), TAG_CHARS)?;
                    if tag.is_empty() || row.tags.contains(&tag) {
                        continue;
                    }
                    // A cell of a mebibyte holds so many that to look for each among the others takes minutes.
                    if row.tags.len() == TAGS {
                        let reason = format!("a contact has at most {TAGS} tags");
                        return Err(RowError::new(field, "too_many_tags", reason));
                    }
                    row.tags.push(tag);
                }
            }
            Field::Custom(key) => {
                let Some(own) = self.custom.get(key) else {
                    return Err(RowError::new(field, "unknown_field", "there is no such field any more"));
                };
                let value = custom::read(own.field_type, &own.options, cell);
                let value = value.map_err(|reason| RowError::new(field, "wrong_type", reason))?;
                row.custom.insert(key.clone(), value);
            }
        }
        Ok(())
    }

    fn phone(&self, cell: &str) -> Result<String, RowError> {
        phone::read_canonical(cell, &self.default_country)
            .map_err(|error| RowError::new(&Field::Phone, "phone_invalid", error.to_string()))
    }
}

/// One line of what stands in a cell: what no line holds becomes a blank.
fn line(field: &Field, cell: &str, longest: usize) -> Result<String, RowError> {
    let line = if cell.contains(char::is_control) {
        cell.split(|c: char| c.is_control())
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    } else {
        cell.to_owned()
    };
    if line.chars().count() > longest {
        return Err(RowError::new(field, "too_long", format!("more than {longest} characters")));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::FieldType;

    fn rows() -> Rows {
        let fields = ["name", "phone", "email", "external_id", "tags", "custom.since"];
        let columns = fields.iter().enumerate();
        let columns = columns.filter_map(|(number, name)| Some((number, Field::parse(name)?)));
        let since = CustomField {
            key: "since".to_owned(),
            label: "Desde".to_owned(),
            field_type: FieldType::Date,
            options: Vec::new(),
        };
        Rows::new(columns.collect(), [since], "BR")
    }

    fn read(cells: &[&str]) -> Result<Option<Row>, Vec<(String, &'static str)>> {
        let cells: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
        let wrong = |error: RowError| (error.field, error.code);
        rows().read(&cells).map_err(|errors| errors.into_iter().map(wrong).collect())
    }

    #[test]
    fn a_row_is_read_as_people_write_it() {
        let row =
            read(&[" Ana\nSouza ", "(62) 9999-0001", "ANA@Loja.com", "'=17", "vip; novo|vip", "21/11/2024"]);
        let row = row.expect("right").expect("not empty");
        assert_eq!(row.name.as_deref(), Some("Ana Souza"));
        assert_eq!(row.phone.as_deref(), Some("+5562999990001"));
        assert_eq!(row.email.as_deref(), Some("ana@loja.com"));
        assert_eq!(row.external_id.as_deref(), Some("=17"));
        assert_eq!(row.tags, ["vip", "novo"]);
        assert_eq!(Value::Object(row.custom), serde_json::json!({ "since": "2024-11-21" }));
        let short = read(&["", "62999990001"]).expect("right").expect("not empty");
        assert_eq!((short.name, short.email), (None, None), "what is not there says nothing");
        assert_eq!(read(&["", " ", ""]), Ok(None));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn no_text_holds_what_no_database_does() {
        let note = CustomField {
            key: "note".to_owned(),
            label: "Nota".to_owned(),
            field_type: FieldType::Text,
            options: Vec::new(),
        };
        let columns = vec![(0, Field::Phone), (1, Field::Custom("note".to_owned()))];
        let rows = Rows::new(columns, [note], "BR");
        let row = rows.read(&["62999990001".to_owned(), "a\0b\nc".to_owned()]);
        let row = row.expect("right").expect("not empty");
        assert_eq!(Value::Object(row.custom), serde_json::json!({ "note": "a b\nc" }));
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        let wrong = |field: &str, code| (field.to_owned(), code);
        assert_eq!(
            read(&["Ana", "12", "ana", "", "", "ontem"]),
            Err(vec![
                wrong("phone", "phone_invalid"),
                wrong("email", "email_invalid"),
                wrong("custom.since", "wrong_type"),
            ])
        );
        assert_eq!(read(&["Ana"]), Err(vec![wrong("", "no_address")]));
        assert_eq!(read(&[&"a".repeat(201), "62999990001"]), Err(vec![wrong("name", "too_long")]));
    }
}
