//! A group of routes, which a Lambda serves and the OpenAPI document describes. The description takes longer to make than
//! everything else at a cold start, so that it is made only where somebody asks for it.

use app::App;
use axum::Router;
use axum::http::header::ALLOW;
use axum::response::AppendHeaders;
use axum::routing::{MethodRouter, any};
use runtime::http::problem::method_not_allowed;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// The handlers of one path; [`routes!`] makes it.
#[derive(Clone, Copy)]
pub struct Route {
    /// The path, without the prefix.
    pub path: fn() -> String,
    /// The handlers by method.
    pub handlers: fn() -> MethodRouter<App>,
    /// The methods that have one.
    pub methods: fn() -> Vec<HttpMethod>,
    /// The handlers with what the document says of them.
    pub documented: fn() -> UtoipaMethodRouter<App>,
}

/// Routes that one Lambda serves.
#[derive(Default)]
pub struct Group {
    routes: Vec<Route>,
}

impl Group {
    /// Without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more path.
    #[must_use]
    pub fn routes(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// With all of another group.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self
    }

    /// What answers below `prefix`.
    pub fn serve(self, prefix: &str) -> Router<App> {
        self.routes.iter().fold(Router::new(), |router, route| {
            router.route(&format!("{prefix}{}", (route.path)()), (route.handlers)())
        })
    }

    /// What answers below `prefix` in the place of its Lambda, to which the gateway brings the methods alone that it has:
    /// 405 to all others, and which those are.
    pub fn refuse(self, prefix: &str) -> Router<App> {
        self.routes.iter().fold(Router::new(), |router, route| {
            let allow = allow(&(route.methods)());
            router.route(
                &format!("{prefix}{}", (route.path)()),
                any(async move || (AppendHeaders([(ALLOW, allow)]), method_not_allowed())),
            )
        })
    }

    /// What the document says.
    pub fn document(self) -> OpenApiRouter<App> {
        self.routes.iter().fold(OpenApiRouter::new(), |router, route| router.routes((route.documented)()))
    }
}

/// What `Allow` says of these methods.
fn allow(methods: &[HttpMethod]) -> String {
    let names = methods.iter().map(|method| match method {
        HttpMethod::Get => "GET,HEAD",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    });
    names.collect::<Vec<_>>().join(",")
}

/// The handlers of one path, each annotated with `utoipa::path`.
macro_rules! routes {
    ($first:ident $(, $more:ident)* $(,)?) => {
        $crate::group::Route {
            path: || ::utoipa_axum::paste! { <[<__path_ $first>] as ::utoipa::Path>::path() },
            handlers: || {
                let router = ::axum::routing::MethodRouter::new();
                let router = $crate::group::on!(router, $first);
                $(let router = $crate::group::on!(router, $more);)*
                router
            },
            methods: || {
                let methods = ::utoipa_axum::paste! { <[<__path_ $first>] as ::utoipa::Path>::methods() };
                $(let methods = [
                    methods,
                    ::utoipa_axum::paste! { <[<__path_ $more>] as ::utoipa::Path>::methods() },
                ]
                .concat();)*
                methods
            },
            documented: || ::utoipa_axum::routes!($first $(, $more)*),
        }
    };
}

macro_rules! on {
    ($router:ident, $handler:ident) => {
        ::utoipa_axum::paste! {
            <[<__path_ $handler>] as ::utoipa::Path>::methods().iter().fold($router, |router, method| {
                router.on(::utoipa_axum::PathItemExt::to_method_filter(method), $handler)
            })
        }
    };
}

pub(crate) use {on, routes};
