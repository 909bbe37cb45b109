//! Errors as HTTP says them: a status, and a body for programs and people.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Query, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::measuring::NotMeasured;
use crate::store::StoreError;
use crate::types::{ErrorBody, ErrorDetail, FailureClass};

/// An answer that is not the one hoped for.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    help: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl ToString) -> Self {
        Self { status, kind, message: message.to_string(), help: None }
    }

    /// The request makes no sense.
    pub fn invalid(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// What was asked for is not there.
    pub fn not_found(message: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Something of this host failed.
    pub fn rig(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "rig", message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let unavailable = |help: &str| Self {
            help: Some(help.to_owned()),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", &error)
        };
        match error {
            StoreError::NotFound(_) => Self::not_found(&error),
            StoreError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", &error),
            StoreError::Invalid(_) => Self::invalid(&error),
            StoreError::Full => {
                unavailable("free some space; nothing was accepted, the same request will succeed then")
            }
            StoreError::Locked => unavailable("end the program that writes; nothing was accepted, try again"),
            StoreError::ReadOnly => unavailable("make the database file and its folder writable for the daemon"),
            _ => unavailable("see the daemon's log"),
        }
    }
}

impl From<NotMeasured> for ApiError {
    fn from(error: NotMeasured) -> Self {
        match error {
            NotMeasured::Failed { class: FailureClass::Candidate, message } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "infeasible", message)
            }
            NotMeasured::Failed { class: FailureClass::Board, message } => {
                Self::new(StatusCode::BAD_GATEWAY, "board", message)
            }
            NotMeasured::Failed { class: FailureClass::Rig, message } => Self::rig(message),
            NotMeasured::ShuttingDown => Self::new(StatusCode::SERVICE_UNAVAILABLE, "rig", error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail { kind: self.kind.to_owned(), message: self.message, help: self.help };
        (self.status, Json(ErrorBody { error: detail })).into_response()
    }
}

/// A JSON body whose rejection is an [`ApiError`].
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Json::from_request(request, state).await;
        body.map(|Json(value)| Self(value)).map_err(|e: JsonRejection| ApiError::invalid(e.body_text()))
    }
}

/// Parts of the path whose rejection is an [`ApiError`].
pub struct Part<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Part<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|e| ApiError::invalid(e.body_text()))
    }
}

/// What stands behind the question mark; its rejection is an [`ApiError`].
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|e| ApiError::invalid(e.body_text()))
    }
}

/// Lets browsers change things only from our own page: a form on a foreign page can reach a daemon on this host too.
pub async fn own_page_only(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && is_foreign(&request) {
        let refused = "requests of foreign web pages are refused";
        return ApiError::new(StatusCode::FORBIDDEN, "invalid", refused).into_response();
    }
    next.run(request).await
}

/// Browsers say which page a request comes from; everything else says nothing.
fn is_foreign(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    header(ORIGIN).is_some_and(|origin| {
        let site = origin.split_once("://").map(|(_, site)| site);
        site.is_none() || site != header(HOST)
    })
}

/// Nothing is served under this address of the API.
pub async fn no_such_route(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::not_found(format!("no {}; see docs/api.md", uri.path()))
}
