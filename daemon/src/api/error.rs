//! Errors as HTTP says them: a status, and a body for programs and people.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, Uri};
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

/// Nothing is served under this address of the API.
pub async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::not_found(format!("no {} in the API; see docs/api.md", uri.path()))
}
