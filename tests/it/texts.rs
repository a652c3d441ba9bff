//! What a problem says, it can say in Portuguese.

use std::collections::{BTreeMap, BTreeSet};

use domain::user::Permission;
use runtime::http::language::portuguese;
use syn::visit::{self, Visit};
use testkit::stack::checkout;

use crate::tenancy::rust_files;

/// The texts of problems in one file, with `{}` for what differs.
#[derive(Default)]
struct Texts {
    constants: BTreeMap<String, String>,
    found: BTreeSet<String>,
    /// What one is not allowed to do.
    acts: BTreeSet<String>,
}

impl Texts {
    /// The texts that an expression may become.
    fn of(&self, expression: &syn::Expr) -> BTreeSet<String> {
        let mut literals = Literals { constants: &self.constants, found: BTreeSet::new() };
        literals.visit_expr(expression);
        literals.found
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            let mut path = function.path.segments.iter().rev().map(|segment| segment.ident.to_string());
            let (name, of) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
            match (of.as_str(), name.as_str()) {
                ("Error", "invalid") => self.found.extend(self.of(&call.args[1])),
                ("Error", "Conflict") => self.found.extend(self.of(&call.args[0])),
                ("Error", "Forbidden") => self.acts.extend(self.of(&call.args[0])),
                ("Error", "NotFound") => {
                    let things = self.of(&call.args[0]);
                    self.found.extend(things.into_iter().map(|thing| format!("{thing} not found")));
                }
                _ => {}
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        let name = made.path.segments.last().map(|segment| segment.ident.to_string());
        if name.is_some_and(|name| ["Rule", "Invalid"].contains(&name.as_str())) {
            for field in &made.fields {
                if matches!(&field.member, syn::Member::Named(name) if name == "message") {
                    self.found.extend(self.of(&field.expr));
                }
            }
        }
        visit::visit_expr_struct(self, made);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "on_constraint" {
            self.found.extend(self.of(&call.args[1]));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && name.ident == "message"
        {
            self.found.extend(self.of(&init.expr));
        }
        visit::visit_local(self, local);
    }
}

/// The texts within an expression: literals, formats, constants of the file.
struct Literals<'a> {
    constants: &'a BTreeMap<String, String>,
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Literals<'_> {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.found.insert(literal.value());
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let name = path.path.get_ident().map(ToString::to_string).unwrap_or_default();
        self.found.extend(self.constants.get(&name).cloned());
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        if called.path.is_ident("format")
            && let Some(proc_macro2::TokenTree::Literal(first)) = called.tokens.clone().into_iter().next()
            && let Ok(text) = syn::parse_str::<syn::LitStr>(&first.to_string())
        {
            self.found.insert(with_holes(&text.value()));
        }
    }

    // What is looked up, compared with or handed on is not said.
    fn visit_expr_index(&mut self, _: &'ast syn::ExprIndex) {}
    fn visit_expr_binary(&mut self, _: &'ast syn::ExprBinary) {}
    fn visit_expr_call(&mut self, _: &'ast syn::ExprCall) {}

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.visit_expr(&call.receiver);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        self.visit_expr(&arm.body);
    }
}

/// A format with all of its arguments as `{}`.
fn with_holes(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        text.push_str("{}");
        rest = behind.split_once('}').map_or("", |(_, behind)| behind);
    }
    text + rest
}

/// Everything that problems say, in holes `{}`, and every act that is refused.
fn said() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut files = Vec::new();
    for folder in ["functions/api/src", "shared/app/src", "shared/db/src", "shared/runtime/src/http"] {
        rust_files(&checkout().join(folder), &mut files);
    }
    let (mut found, mut acts) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let mut parsed = syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap();
        parsed.items.retain(|item| !matches!(item, syn::Item::Mod(module) if module.ident == "tests"));
        let mut texts = Texts::default();
        for item in &parsed.items {
            if let syn::Item::Const(constant) = item {
                for text in texts.of(&constant.expr) {
                    texts.constants.insert(constant.ident.to_string(), text);
                }
            }
        }
        texts.visit_file(&parsed);
        found.extend(texts.found);
        acts.extend(texts.acts);
    }
    acts.extend(Permission::all().map(|permission| permission.act().to_owned()));
    (found, acts)
}

#[test]
fn every_problem_can_be_told_in_portuguese() {
    let (found, acts) = said();
    assert!(found.len() >= 50 && acts.len() >= 15, "only {} texts and {} acts", found.len(), acts.len());
    let is_told = |text: &&String| portuguese(&text.replace("{}", "7")).is_some();
    let missing: Vec<_> = found.iter().chain(&acts).filter(|text| !is_told(text)).collect();
    assert!(missing.is_empty(), "not in shared/runtime/src/http/portuguese.rs: {missing:#?}");
}
