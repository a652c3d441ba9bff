//! What the mails say, in both languages.

use chrono::{DateTime, Utc};
use domain::user::Locale;

/// One letter: paragraphs, and a link to follow.
pub(super) struct Letter {
    pub(super) subject: String,
    greeting: &'static str,
    paragraphs: Vec<String>,
    link: String,
    link_text: &'static str,
    language: &'static str,
}

pub(super) fn verify_email(locale: Locale, link: &str) -> Letter {
    match locale {
        Locale::Pt => letter(
            locale,
            "Confirme seu e-mail",
            &[
                "Falta um passo para a sua conta na Master IA: confirme que este e-mail é seu.",
                "Abra o link no navegador em que se cadastrou; em outro, pediremos a senha que você escolheu. \
                 Ele vale por 24 horas e só uma vez. Se não foi você, ignore esta mensagem.",
            ],
            (link, "Confirmar e-mail"),
        ),
        Locale::En => letter(
            locale,
            "Confirm your email address",
            &[
                "One more step to your Master IA account: confirm that this address is yours.",
                "Open the link in the browser in which you registered; in another one we ask for the password that you \
                 chose. It is good for 24 hours, and once. If this was not you, ignore this message.",
            ],
            (link, "Confirm address"),
        ),
    }
}

pub(super) fn already_registered(locale: Locale, link: &str) -> Letter {
    match locale {
        Locale::Pt => letter(
            locale,
            "Você já tem uma conta",
            &[
                "Alguém tentou criar uma conta na Master IA com este e-mail, que já tem uma.",
                "Se foi você, entre com a sua senha ou peça uma nova. Se não foi, nada mudou.",
            ],
            (link, "Entrar"),
        ),
        Locale::En => letter(
            locale,
            "You have an account already",
            &[
                "Somebody tried to create a Master IA account with this address, which has one.",
                "If it was you, log in with your password or ask for a new one. If not, nothing has changed.",
            ],
            (link, "Log in"),
        ),
    }
}

pub(super) fn link_required(locale: Locale, link: &str) -> Letter {
    match locale {
        Locale::Pt => letter(
            locale,
            "Você já tem uma conta",
            &[
                "Alguém tentou entrar na Master IA pelo Google ou pelo Facebook com este e-mail, que já tem uma conta \
                 não vinculada a eles.",
                "Se foi você, entre com a sua senha ou peça uma nova, e faça o vínculo na sua conta. Se não foi, nada \
                 mudou.",
            ],
            (link, "Entrar"),
        ),
        Locale::En => letter(
            locale,
            "You have an account already",
            &[
                "Somebody tried to log in to Master IA by Google or Facebook with this address, which has an account \
                 that is not linked to them.",
                "If it was you, log in with your password or ask for a new one, and link the two in your account. If \
                 not, nothing has changed.",
            ],
            (link, "Log in"),
        ),
    }
}

pub(super) fn new_company(locale: Locale, link: &str) -> Letter {
    match locale {
        Locale::Pt => letter(
            locale,
            "Confirme a sua nova empresa",
            &[
                "Este e-mail já tem uma conta na Master IA, que não faz parte de nenhuma empresa. Confirme para criar \
                 a empresa que foi cadastrada agora.",
                "Depois, entre com a senha que a conta já tem, ou peça uma nova. O link vale por 24 horas e só uma \
                 vez. Se não foi você, ignore: nada muda.",
            ],
            (link, "Criar empresa"),
        ),
        Locale::En => letter(
            locale,
            "Confirm your new company",
            &[
                "This address has a Master IA account, which belongs to no company. Confirm to make the company that \
                 was registered just now.",
                "Then log in with the password that the account has, or ask for a new one. The link is good for 24 \
                 hours, and once. If this was not you, ignore it: nothing changes.",
            ],
            (link, "Make the company"),
        ),
    }
}

pub(super) fn reset_password(locale: Locale, link: &str) -> Letter {
    match locale {
        Locale::Pt => letter(
            locale,
            "Crie uma nova senha",
            &[
                "Recebemos um pedido de nova senha para a sua conta na Master IA.",
                "O link vale por uma hora e só uma vez. Se não foi você, ignore: a senha continua a mesma.",
            ],
            (link, "Criar nova senha"),
        ),
        Locale::En => letter(
            locale,
            "Choose a new password",
            &[
                "We were asked for a new password for your Master IA account.",
                "The link is good for an hour, and once. If this was not you, ignore it: the password stays.",
            ],
            (link, "Choose a new password"),
        ),
    }
}

pub(super) fn invitation(locale: Locale, company: &str, link: &str) -> Letter {
    match locale {
        Locale::Pt => letter(
            locale,
            &format!("Convite: {company} na Master IA"),
            &[
                &format!("{company} convidou você para a equipe na Master IA."),
                "O convite vale por 7 dias. Se não conhece a empresa, ignore esta mensagem.",
            ],
            (link, "Aceitar convite"),
        ),
        Locale::En => letter(
            locale,
            &format!("Invitation: {company} on Master IA"),
            &[
                &format!("{company} invites you to their team on Master IA."),
                "The invitation is good for 7 days. If you do not know the company, ignore this message.",
            ],
            (link, "Accept invitation"),
        ),
    }
}

/// With a time the token ends then; without, it has ended.
pub(super) fn token_ending(
    locale: Locale,
    connection: &str,
    expires_at: Option<DateTime<Utc>>,
    link: &str,
) -> Letter {
    match (locale, expires_at) {
        (Locale::Pt, Some(at)) => letter(
            locale,
            &format!("A conexão {connection} precisa de um novo token"),
            &[
                &format!(
                    "O token da conexão {connection} expira em {} (UTC).",
                    at.format("%d/%m/%Y às %H:%M")
                ),
                "Depois disso nenhuma mensagem sai por ela. Conecte o número de novo ou informe outro token. Este aviso \
                 vem no máximo uma vez por dia.",
            ],
            (link, "Abrir a conexão"),
        ),
        (Locale::En, Some(at)) => letter(
            locale,
            &format!("The connection {connection} needs a new token"),
            &[
                &format!(
                    "The token of the connection {connection} expires at {} (UTC).",
                    at.format("%Y-%m-%d %H:%M")
                ),
                "After that no message goes over it. Connect the number again, or give another token. This notice comes \
                 once a day at most.",
            ],
            (link, "Open the connection"),
        ),
        (Locale::Pt, None) => letter(
            locale,
            &format!("A conexão {connection} parou de enviar"),
            &[
                &format!("O token da conexão {connection} expirou ou deixou de ser aceito."),
                "Nenhuma mensagem sai por ela até que o número seja conectado de novo ou outro token seja informado. Este \
                 aviso vem no máximo uma vez por dia.",
            ],
            (link, "Abrir a conexão"),
        ),
        (Locale::En, None) => letter(
            locale,
            &format!("The connection {connection} has stopped sending"),
            &[
                &format!("The token of the connection {connection} has expired, or is not taken any more."),
                "No message goes over it until the number is connected again, or another token is given. This notice comes \
                 once a day at most.",
            ],
            (link, "Open the connection"),
        ),
    }
}

fn letter(
    locale: Locale,
    subject: &str,
    paragraphs: &[&str],
    (link, link_text): (&str, &'static str),
) -> Letter {
    let (greeting, language) = match locale {
        Locale::Pt => ("Olá!", "pt-BR"),
        Locale::En => ("Hello!", "en"),
    };
    Letter {
        subject: subject.to_owned(),
        greeting,
        paragraphs: paragraphs.iter().map(|&text| text.to_owned()).collect(),
        link: link.to_owned(),
        link_text,
        language,
    }
}

impl Letter {
    pub(super) fn text(&self) -> String {
        let Self { greeting, link, link_text, .. } = self;
        let (first, rest) = self.paragraphs.split_first().map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
        format!("{greeting}\n\n{first}\n\n{link_text}: {link}\n\n{}\n\nMaster IA\n", rest.join("\n\n"))
    }

    pub(super) fn html(&self) -> String {
        let (first, rest) = self.paragraphs.split_first().map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
        let rest: String =
            rest.iter().map(|text| format!("<p style=\"color:#667085\">{}</p>", escape(text))).collect();
        format!(
            "<!doctype html><html lang=\"{language}\"><body style=\"margin:0;background:#f4f5f7;\
             font:16px/1.5 system-ui,sans-serif;color:#101828\"><div style=\"max-width:32rem;margin:2rem auto;\
             padding:2rem;background:#fff;border-radius:12px\"><p>{greeting}</p><p>{first}</p>\
             <p><a href=\"{link}\" style=\"display:inline-block;padding:.75rem 1.25rem;border-radius:8px;\
             background:#0a7c5a;color:#fff;text-decoration:none\">{link_text}</a></p>{rest}<p>Master IA</p></div>\
             </body></html>",
            language = self.language,
            greeting = self.greeting,
            first = escape(first),
            link = escape(&self.link),
            link_text = self.link_text,
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_text() {
        let name = "<b>Ana & \"Cia\"</b>";
        for locale in [Locale::Pt, Locale::En] {
            let letter = invitation(locale, name, "https://x/#t");
            let html = letter.html();
            assert!(html.contains("&lt;b&gt;Ana &amp; &quot;Cia&quot;&lt;/b&gt;"), "{html}");
            assert!(!html.contains("<b>"), "{html}");
            assert!(letter.text().contains("https://x/#t"));
        }
    }
}
