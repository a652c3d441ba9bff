//! A group of routes, which a Lambda serves and the OpenAPI document describes. The description takes longer to make than
//! everything else at a cold start, so that it is made only where somebody asks for it.

use app::App;
use axum::Router;
use axum::routing::MethodRouter;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// The handlers of one path; [`routes!`] makes it.
#[derive(Clone, Copy)]
pub struct Route {
    /// The path, without the prefix.
    pub path: fn() -> String,
    /// The handlers by method.
    pub handlers: fn() -> MethodRouter<App>,
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

    /// What the document says.
    pub fn document(self) -> OpenApiRouter<App> {
        self.routes.iter().fold(OpenApiRouter::new(), |router, route| router.routes((route.documented)()))
    }
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
