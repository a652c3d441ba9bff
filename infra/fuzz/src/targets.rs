//! The targets: one for each reader of bytes that a stranger chooses.

mod csv;
mod evolution;
mod media;
mod meta;
mod oauth;
mod phone;
mod segment;
mod tampering;
mod texts;
mod twilio;
mod uazapi;

use crate::seeds::{self, Seed};

/// What the bytes of a target are, for whoever changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// JSON, mostly.
    Json,
    /// A form, mostly.
    Form,
    /// Anything.
    Bytes,
}

/// A reader, and what must hold of it.
pub struct Target {
    /// Its name on the command line, and of its folders.
    pub name: &'static str,
    /// What it reads.
    pub about: &'static str,
    /// What its bytes are.
    pub shape: Shape,
    /// Reads bytes; panics for what must not be.
    pub run: fn(&[u8]),
    /// Where the search begins, without what was found before.
    pub seeds: fn() -> Vec<Seed>,
}

/// Every target, in the order in which they are run.
pub static TARGETS: [Target; 14] = [
    Target {
        name: "meta",
        about: "WhatsApp Cloud API: webhook bodies into events",
        shape: Shape::Json,
        run: meta::body,
        seeds: || seeds::fixtures("tests/fixtures/whatsapp_cloud"),
    },
    Target {
        name: "meta_signature",
        about: "WhatsApp Cloud API: X-Hub-Signature-256, the handshake",
        shape: Shape::Bytes,
        run: meta::signature,
        seeds: || seeds::tampered(seeds::signed("tests/fixtures/whatsapp_cloud/signatures.json", "body")),
    },
    Target {
        name: "twilio",
        about: "Twilio: forms into events",
        shape: Shape::Form,
        run: twilio::form,
        seeds: || seeds::forms("tests/fixtures/twilio"),
    },
    Target {
        name: "twilio_signature",
        about: "Twilio: X-Twilio-Signature over address and form",
        shape: Shape::Bytes,
        run: twilio::signature,
        seeds: || seeds::tampered(seeds::forms("tests/fixtures/twilio")),
    },
    Target {
        name: "evolution",
        about: "Evolution API: webhook bodies into events",
        shape: Shape::Json,
        run: evolution::body,
        seeds: || seeds::fixtures("tests/fixtures/evolution"),
    },
    Target {
        name: "evolution_token",
        about: "Evolution API: the token of a call",
        shape: Shape::Bytes,
        run: evolution::token,
        seeds: || seeds::tampered(seeds::signed("tests/fixtures/evolution/signatures.json", "authorization")),
    },
    Target {
        name: "uazapi",
        about: "UAZapi: webhook bodies into events, their token",
        shape: Shape::Json,
        run: uazapi::body,
        seeds: || seeds::fixtures("tests/fixtures/uazapi"),
    },
    Target {
        name: "id_token",
        about: "log-in by Google: identity tokens, their signature and claims",
        shape: Shape::Bytes,
        run: oauth::id_token,
        seeds: oauth::seeds_of_tokens,
    },
    Target {
        name: "jwks",
        about: "log-in by Google: sets of keys",
        shape: Shape::Json,
        run: oauth::jwks,
        seeds: oauth::seeds_of_keys,
    },
    Target {
        name: "csv",
        about: "imports: what a file is, its rows, contacts out of them",
        shape: Shape::Bytes,
        run: csv::file,
        seeds: csv::seeds,
    },
    Target {
        name: "media",
        about: "files: types as they are said and as they show",
        shape: Shape::Bytes,
        run: media::file,
        seeds: media::seeds,
    },
    Target {
        name: "phone",
        about: "telephone numbers in every spelling",
        shape: Shape::Bytes,
        run: phone::number,
        seeds: phone::seeds,
    },
    Target {
        name: "segment",
        about: "segments: the language of filters",
        shape: Shape::Json,
        run: segment::filter,
        seeds: segment::seeds,
    },
    Target {
        name: "texts",
        about: "variables in texts, how many SMS a text is, addresses that customers give",
        shape: Shape::Bytes,
        run: texts::text,
        seeds: texts::seeds,
    },
];
