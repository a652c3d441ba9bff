//! Email over SES v2.

use std::fmt;

use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};

use crate::aws::Aws;
use crate::error::AwsError;

/// The character set of everything that we write.
const CHARSET: &str = "UTF-8";

/// One mail to one person. Not printed by `Debug`: it may hold a link that opens an account.
#[derive(Clone)]
pub struct Mail {
    /// Who writes: an address that SES verified, with or without a name.
    pub from: String,
    /// Who reads.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// The text, for programs that show no HTML.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("bytes", &(self.text.len() + self.html.len())).finish_non_exhaustive()
    }
}

/// SES. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailer {
    aws: Aws,
}

impl Mailer {
    /// Connects at the first mail.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }

    /// Hands a mail to SES; its id there. Delivery is at least once: an answer that got lost leaves a mail that is sent
    /// again.
    ///
    /// # Errors
    /// When SES refuses the mail or cannot be reached.
    pub async fn send(&self, mail: Mail) -> Result<String, AwsError> {
        let unbuilt = |error| AwsError::unbuilt("sesv2.SendEmail", error);
        let content = |text: String| Content::builder().data(text).charset(CHARSET).build().map_err(unbuilt);
        let body = Body::builder().text(content(mail.text)?).html(content(mail.html)?).build();
        let message = Message::builder().subject(content(mail.subject)?).body(body).build();
        let request = self.aws.sesv2().await.send_email().from_email_address(mail.from);
        let answer = request
            .destination(Destination::builder().to_addresses(mail.to).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await;
        let answer = answer.map_err(|error| AwsError::from_sdk("sesv2.SendEmail", error))?;
        Ok(answer.message_id.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_link() {
        let text = || "https://x/reset-password#token=segredo".to_owned();
        let mail = Mail {
            from: text(),
            to: "ana@example.com".to_owned(),
            subject: text(),
            text: text(),
            html: text(),
        };
        let shown = format!("{mail:?}");
        assert!(!shown.contains("segredo") && !shown.contains("ana@"), "{shown}");
    }
}
