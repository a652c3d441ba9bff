//! What can go wrong in a query.

/// The result of a query.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A query's failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A constraint that the caller's input violates; the text is for people.
    #[error("{0}")]
    Conflict(&'static str),
    /// Anything else that PostgreSQL or the connection to it reports.
    #[error("database error")]
    Sqlx(#[from] sqlx::Error),
}

impl Error {
    /// Whether the same query may succeed later: the server was away, busy, or chose us as a deadlock's victim.
    /// Otherwise the data itself is at fault, and repeating changes nothing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Conflict(_) => false,
            Self::Sqlx(sqlx::Error::Database(error)) => {
                // SQLSTATE classes: 08 connection, 40 rollback, 53 resources, 55 locks, 57 intervention, 58 system; and
                // 28, 3D and 42, a server that is not set up or migrated yet. The rest is the data's fault: 22 its
                // form, 23 a constraint, 54 its size.
                error.code().is_none_or(|code| {
                    let class = code.get(..2).unwrap_or_default();
                    ["08", "28", "3D", "40", "42", "53", "55", "57", "58"].contains(&class)
                })
            }
            Self::Sqlx(sqlx::Error::Encode(_)) => false,
            Self::Sqlx(_) => true,
        }
    }
}

/// Names the constraint whose violation is the caller's fault.
pub(crate) trait OnConstraint<T> {
    fn on_constraint(self, name: &str, message: &'static str) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: &str, message: &'static str) -> Result<T> {
        self.map_err(|error| match error.as_database_error().and_then(|database| database.constraint()) {
            Some(violated) if violated == name => Error::Conflict(message),
            _ => error.into(),
        })
    }
}
